// Package audience knows whose a token of a ServiceAccount is that has a certain audience. Whoever gets such a token can use it where it
// is meant for, so the code of a cloud asks for the audiences of that cloud, and nobody else does.
package audience

import "regexp"

// Owner is to whom an audience belongs.
type Owner string

// The owners of audiences that are known. Others are the administrator's business.
const (
	AWS        Owner = "AWS"
	Azure      Owner = "Azure"
	Google     Owner = "Google"
	Kubernetes Owner = "Kubernetes"
)

// Of are the audiences of each owner, as anchored regular expressions (RE2). Sources: AWS, "IAM roles for service accounts" and "EKS Pod
// Identity"; Microsoft Entra, "Workload identity federation", and AKS, "Identity bindings"; Google Cloud IAM, "Workload identity
// federation", and GKE; Kubernetes, --service-account-issuer and --api-audiences.
var Of = map[Owner][]string{
	AWS:   {`^sts[.]amazonaws[.]com([.]cn)?$`},
	Azure: {`^api://AzureADTokenExchange(China|USGov)?$`, `^api://AKSIdentityBinding$`},
	Google: {
		`^(https:)?//iam[.]googleapis[.]com/projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}$`,
		`^([a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9][.]svc[.]id[.]goog$`,
	},
}

// reserved is all that may have a meaning to an owner, also where nobody asks for it today.
var reserved = []struct {
	owner    Owner
	audience *regexp.Regexp
}{
	{AWS, regexp.MustCompile(`^(sts[.]amazonaws[.]com([.]cn)?|pods[.]eks[.]amazonaws[.]com)$`)},
	{Azure, regexp.MustCompile(`^(api://AzureADTokenExchange[a-zA-Z]*|api://AKSIdentityBinding|https://containerregistry[.]azure[.]net(/.*)?)$`)},
	{Google, regexp.MustCompile(`^((https:)?//iam[.]googleapis[.]com/.*|.*[.]svc[.]id[.]goog)$`)},
	{Kubernetes, regexp.MustCompile(`^(https://kubernetes[.]default.*|kubernetes([.]default[.]svc)?|api|https://container[.]googleapis[.]com/.*)$`)},
}

// OwnerOf says to whom an audience belongs; the empty Owner for one of nobody that is known.
func OwnerOf(audience string) Owner {
	for _, r := range reserved {
		if r.audience.MatchString(audience) {
			return r.owner
		}
	}
	return ""
}
