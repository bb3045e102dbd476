package wiring

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// harm is something that is done to all clouds at once.
type harm struct {
	name     string
	do, undo func(*testing.T)
	// reasons are why entries fail, as the status says; the others get new tokens all the same.
	reasons map[string]string
	// spares is whether the tokens in use stay good.
	spares bool
	// unproven is whether new tokens cannot be tried.
	unproven bool
}

// The secrets of the clouds, of ServiceAccounts and of Secrets are looked for where people look: in the log of the highest verbosity, the
// metrics, and every version of every object. A cloud that hangs is not among the harms: its calls end after 30 seconds each, and the
// providers' contract suite covers them.
func TestNoTokenIsShownWhateverTheCloudsDo(t *testing.T) {
	e := prepareEveryProvider(t, "canary")
	create(t, namespace("canary-1", map[string]string{"team": "canary"}))
	create(t, e.credential)
	e.pulls(t, e.published(t, "canary-1", e.entries()...), e.entries()...)
	e.standing(t, map[string]string{})
	for _, h := range slices.Concat(e.outages(), e.refusals()) {
		t.Run(h.name, func(t *testing.T) {
			h.do(t)
			e.refresh(t)
			e.standing(t, h.reasons)
			s := e.published(t, "canary-1", slices.DeleteFunc(e.entries(), func(name string) bool { return h.reasons[name] != "" })...)
			for name, r := range recordsOf(t, s) {
				if h.unproven && r.Verified == metav1.ConditionTrue {
					t.Errorf("%s: proved at a registry that does not answer", name)
				}
			}
			if h.spares {
				e.pulls(t, s, e.entries()...)
			}
			h.undo(t)
			e.refresh(t)
			e.pulls(t, e.published(t, "canary-1", e.entries()...), e.entries()...)
			e.standing(t, map[string]string{})
		})
		if t.Failed() {
			break // the next would fail for it, too
		}
	}
	told(t, e.name, v1alpha1.ReasonThrottled, v1alpha1.ReasonUnavailable, v1alpha1.ReasonAccessDenied, v1alpha1.ReasonVerificationFailed,
		v1alpha1.ReasonIdentityInvalid, v1alpha1.ReasonIdentityNotFound)
	leaks, err := leaked(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range leaks {
		t.Errorf("a credential is shown by %s", leak)
	}
}

// told waits until there are events about the credential with all of the reasons.
func told(t *testing.T, name string, reasons ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w, err := world.Client.Watch(ctx, &eventsv1.EventList{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if e, ok := e.Object.(*eventsv1.Event); ok && e.Regarding.Name == name {
			if reasons = slices.DeleteFunc(reasons, func(reason string) bool { return reason == e.Reason }); len(reasons) == 0 {
				return
			}
		}
	}
	t.Errorf("no events say %v", reasons)
}

// outages make parts of every cloud fail.
func (e *everyProvider) outages() []harm {
	// What comes before the token of a registry: the proof of who asks.
	identity := []*cloud.Faults{world.AWS.STS, world.Google.STS, world.Google.OAuth2, world.Azure.Entra, world.Azure.Discovery, pluginCloud.STS}
	// The token itself.
	token := []*cloud.Faults{world.AWS.ECR, world.AWS.ECRPublic, world.Google.IAMCredentials, world.Azure.Exchange, world.JFrog.Access, pluginCloud.ECR}
	// The registries, where new tokens are tried.
	registry := []*cloud.Faults{world.AWS.Registry, world.AWS.PublicRegistry, world.Google.Registry, world.Azure.Registry, world.JFrog.Registry,
		world.DockerHub.Auth, world.DockerHub.Registry, pluginCloud.Registry}
	var harms []harm
	for _, f := range []struct {
		name, reason string
		fault        cloud.Fault
	}{
		{"throttled", v1alpha1.ReasonThrottled, cloud.Fault{Throttle: -1}},
		{"server error", v1alpha1.ReasonUnavailable, cloud.Fault{Outage: cloud.OutageServerError}},
		{"closed", v1alpha1.ReasonUnavailable, cloud.Fault{Outage: cloud.OutageClosed}},
	} {
		failing := func(entries ...string) map[string]string {
			reasons := map[string]string{}
			for _, entry := range entries {
				reasons[entry] = f.reason
			}
			for _, plugin := range []string{kubeletECR, kubeletTenant} {
				if reasons[plugin] != "" {
					reasons[plugin] = v1alpha1.ReasonUnavailable // a plugin does not say why it has failed
				}
			}
			return reasons
		}
		harms = append(harms,
			faulty("identities "+f.name, identity, f.fault, true, failing(ecr, google, googleKey, azure, azureSecret, kubeletTenant)),
			faulty("tokens "+f.name, token, f.fault, true, failing(ecr, ecrPublic, google, azure, azureSecret, jfrog, jfrogAdmin, kubeletECR, kubeletTenant)),
			unproven(faulty("registries "+f.name, registry, f.fault, false, map[string]string{})))
	}
	return harms
}

func faulty(name string, services []*cloud.Faults, fault cloud.Fault, spares bool, reasons map[string]string) harm {
	set := func(fault cloud.Fault) func(*testing.T) {
		return func(*testing.T) {
			for _, faults := range services {
				faults.Set(fault)
			}
		}
	}
	return harm{name: name, do: set(fault), undo: set(cloud.Fault{}), spares: spares, reasons: reasons}
}

func unproven(h harm) harm {
	h.unproven = true
	return h
}

// refusals are what the clouds and Kubernetes say no to.
func (e *everyProvider) refusals() []harm {
	const denied, refused, invalid, gone = v1alpha1.ReasonAccessDenied, v1alpha1.ReasonVerificationFailed, v1alpha1.ReasonIdentityInvalid, v1alpha1.ReasonIdentityNotFound
	return []harm{
		{name: "permissions denied", do: e.denyTokens, undo: e.mend, reasons: map[string]string{
			ecr: denied, ecrPublic: denied, google: denied, googleKey: denied, azure: denied, azureSecret: denied, jfrog: denied, jfrogAdmin: denied,
			kubeletECR: v1alpha1.ReasonUnavailable, kubeletTenant: v1alpha1.ReasonUnavailable,
		}},
		// The public registry of ECR lets every token pull. Google's own check of permissions speaks first where it is asked for.
		{name: "pulls refused", do: e.denyPulls, undo: e.mend, reasons: map[string]string{
			ecr: refused, google: denied, googleKey: refused, azure: refused, azureSecret: refused, jfrog: refused, jfrogAdmin: refused,
			dockerConfig: refused, hub: refused,
		}},
		{name: "identities revoked", do: e.revokeIdentities, undo: e.mend, reasons: map[string]string{
			ecr: denied, ecrPublic: denied, google: denied, googleKey: denied, azure: denied, azureSecret: denied, jfrog: denied, jfrogAdmin: denied,
			dockerConfig: refused, hub: refused, kubeletECR: v1alpha1.ReasonUnavailable, kubeletTenant: v1alpha1.ReasonUnavailable,
		}},
		{name: "Secrets broken", do: e.breakSources, undo: e.mend, reasons: map[string]string{
			ecrPublic: denied, googleKey: invalid, azureSecret: invalid, jfrogAdmin: invalid, dockerConfig: invalid, hub: invalid,
		}, spares: true},
		{name: "ServiceAccount gone", do: e.deleteAccount, undo: e.mend, reasons: map[string]string{
			ecr: gone, google: gone, azure: gone, jfrog: gone, kubeletTenant: gone,
		}, spares: true},
	}
}

// mend makes everything what it was, with new credentials in the Secrets.
func (e *everyProvider) mend(t *testing.T) {
	t.Helper()
	e.mendAWS(t)
	e.mendGoogle()
	e.mendAzure(cloud.AzureAcrPull)
	e.mendJFrog()
	for entry, data := range map[string]map[string]string{
		ecrPublic: {"AWS_ACCESS_KEY_ID": e.user.AccessKeyID, "AWS_SECRET_ACCESS_KEY": e.user.SecretAccessKey},
		googleKey: e.newGoogleKey(t), azureSecret: e.azureKeys(), jfrogAdmin: e.newAdminToken(), dockerConfig: e.newDockerConfig(), hub: e.newHubUser("acme/*"),
	} {
		e.setSource(t, entry, data)
	}
	if e.account.ResourceVersion == "" {
		create(t, e.account)
	}
}

func (e *everyProvider) denyTokens(t *testing.T) {
	t.Helper()
	for _, err := range []error{
		world.AWS.SetPermissions(e.role.ARN, false, e.role.Pull...), world.AWS.SetECRPublicPermissions(e.user.ARN(), cloud.ECRPublicPermissions{}),
		pluginCloud.SetPermissions(e.tenantRole.ARN, false), pluginCloud.SetPermissions(pluginUser.ARN(), false),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	world.Google.AddServiceAccount(cloud.GoogleServiceAccount{Email: e.googleAccount.Email})
	world.Google.AddServiceAccount(cloud.GoogleServiceAccount{Email: e.keyAccount.Email, Disabled: true})
	e.mendAzure("")
	provider := e.jfrogProvider
	provider.Mappings = nil
	world.JFrog.AddProvider(provider)
	world.JFrog.AddUser(cloud.JFrogUser{Name: e.jfrogAdminUser})
}

func (e *everyProvider) denyPulls(t *testing.T) {
	t.Helper()
	for _, err := range []error{
		world.AWS.SetPermissions(e.role.ARN, true), pluginCloud.SetPermissions(e.tenantRole.ARN, true), pluginCloud.SetPermissions(pluginUser.ARN(), true),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	world.Google.SetPull(cloud.GoogleMember(e.googleAccount.Email))
	world.Google.SetPull(cloud.GoogleMember(e.keyAccount.Email))
	e.mendAzure(cloud.AzureRepositoryReader)
	world.JFrog.SetReadable(e.jfrogGroup)
	e.setSource(t, hub, e.newHubUser())
}

func (e *everyProvider) revokeIdentities(*testing.T) {
	world.AWS.Remove(e.role.ARN)
	world.AWS.Remove(e.user.ARN())
	pluginCloud.Remove(e.tenantRole.ARN)
	pluginCloud.Remove(pluginUser.ARN())
	pool := e.googlePool
	pool.Subjects = []string{"nobody"}
	world.Google.AddIdentityProvider(pool)
	world.Google.DeleteKeys(e.keyAccount.Email)
	disabled, rotated := e.application, e.application2
	disabled.Disabled, rotated.Secret = true, cloud.CanaryEntra+"rotated"
	world.Azure.AddApplication(disabled)
	world.Azure.AddApplication(rotated)
	provider := e.jfrogProvider
	provider.Issuer = "https://another.example"
	world.JFrog.AddProvider(provider)
	world.JFrog.Revoke(e.jfrogAdminToken.ID)
	world.JFrog.Revoke(e.remoteUser.ID)
	world.DockerHub.RemoveUser(e.name)
}

// breakSources puts secrets where none belong, as people do.
func (e *everyProvider) breakSources(t *testing.T) {
	t.Helper()
	const secret = cloud.Canary + "misplaced"
	for entry, data := range map[string]map[string]string{
		ecrPublic:    {"AWS_ACCESS_KEY_ID": secret, "AWS_SECRET_ACCESS_KEY": secret},
		googleKey:    {"credentials.json": `{"type":"service_account","client_email":"` + secret + `","private_key":"` + secret + `","private_key_id":"` + secret + `"}`},
		azureSecret:  {"AZURE_CLIENT_ID": secret, "AZURE_TENANT_ID": secret},
		jfrogAdmin:   {"token": secret + " " + secret},
		dockerConfig: {corev1.DockerConfigJsonKey: `{"auths":{"https://` + secret + `/":{"auth":"` + secret + `"},"x":` + secret},
		hub:          {"username": "user:" + secret, "password": secret},
	} {
		e.setSource(t, entry, data)
	}
}

func (e *everyProvider) deleteAccount(t *testing.T) {
	t.Helper()
	if err := world.Client.Delete(t.Context(), e.account); err != nil {
		t.Fatal(err)
	}
	e.account = &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: e.account.Namespace, Name: e.account.Name, Annotations: e.account.Annotations}}
}

// baits is a namespace for what the search must find.
const baits = "baits"

func TestTheSearchFindsWhatIsThere(t *testing.T) {
	const secret = cloud.Canary + "bait"
	create(t, namespace(baits, nil))
	meta := metav1.ObjectMeta{Namespace: baits, Name: "bait"}
	annotated := meta
	annotated.Annotations = map[string]string{"bait": secret}
	create(t, &corev1.ConfigMap{ObjectMeta: meta, BinaryData: map[string][]byte{"bait": []byte(secret)}})
	create(t, &corev1.Secret{ObjectMeta: annotated})
	create(t, &corev1.Event{ObjectMeta: meta, Message: secret, InvolvedObject: corev1.ObjectReference{Namespace: baits}})
	c := &v1alpha1.RegistryCredential{ObjectMeta: annotated}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"},
		Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "none"}}}}
	create(t, c)
	// What is in a Secret itself is nobody's business.
	create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: baits, Name: "harmless"}, StringData: map[string]string{"password": secret}})
	until(t, &corev1.ServiceAccountList{}, baits, "default", "the ServiceAccount", func(*corev1.ServiceAccount, bool) bool { return true })

	shown, err := witness.catchUp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, s := range shown {
		if s.namespace == baits {
			found[s.resource] = s.name
		}
	}
	want := map[string]string{"configmaps": "bait", "secrets": "bait", "events": "bait", "events.events.k8s.io": "bait", "registrycredentials.regcred.dev": "bait"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	for _, resource := range slices.Sorted(maps.Keys(want)) {
		if witness.versions(resource) == 0 {
			t.Errorf("no %s have been seen", resource)
		}
	}
	log := logged.Bytes()
	if len(log) < 1000 || len(linesWithCredentials(log)) != 0 {
		t.Errorf("a log of %d bytes is too short to prove anything, or shows a credential", len(log))
	}
	token, err := world.Kubectl(t.Context(), "create", "token", "default", "-n", baits)
	if err != nil {
		t.Fatal(err)
	}
	for name, bait := range map[string][]byte{"canary": []byte(secret), "ServiceAccount's token": token} {
		middle := len(log) / 2
		if len(linesWithCredentials(slices.Concat(log[:middle], bait, log[middle:]))) == 0 {
			t.Errorf("a %s in the log is not found", name)
		}
	}
}
