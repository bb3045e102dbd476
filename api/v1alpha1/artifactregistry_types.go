package v1alpha1

// ArtifactRegistry is Google Artifact Registry.
//
// +kubebuilder:validation:AtMostOneOf=workloadIdentityProvider;gkeCluster;fleetMembership
// +kubebuilder:validation:XValidation:rule="has(self.repositories) == has(self.project)",message="project and repositories go together: they name the repositories whose permissions are checked"
// +kubebuilder:validation:XValidation:rule="!has(self.repositories) || size(self.hosts) == 1",message="repositories needs exactly one host: use an entry for each host"
type ArtifactRegistry struct {
	// hosts lists the registry hosts that the Secret is for: <location>-docker.pkg.dev, docker.<region>.rep.pkg.dev, gcr.io, us.gcr.io,
	// eu.gcr.io, asia.gcr.io, marketplace.gcr.io; and those of other universes that the controller's administrator has added.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^([a-z]+(-[a-z]+[0-9]+)?-docker[.]pkg[.]dev|docker[.][a-z]+-[a-z]+[0-9]+[.]rep[.]pkg[.]dev|((us|eu|asia|marketplace)[.])?gcr[.]io)$') || self.matches('^([a-z][a-z0-9-]*-)?docker([.][a-z0-9][a-z0-9-]*){2,}$') && !self.contains('pkg.dev')",message="a host must be <location>-docker.pkg.dev, such as europe-west1-docker.pkg.dev or us-docker.pkg.dev, or docker.<region>.rep.pkg.dev, or gcr.io, us.gcr.io, eu.gcr.io, asia.gcr.io or marketplace.gcr.io"
	// +listType=set
	Hosts []string `json:"hosts"`

	// project is the ID of the project that holds repositories.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$')",message="project must be the ID of a Google Cloud project, such as my-project"
	Project string `json:"project,omitempty"`

	// repositories lists repositories of project that the identity must be able to download from. Each new token is checked for the
	// permission artifactregistry.repositories.downloadArtifacts on them before it is published.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z]([a-z0-9.-]*[a-z0-9])?$')",message="a repository must be the ID of an Artifact Registry repository, such as apps, without project and image"
	// +listType=set
	Repositories []string `json:"repositories,omitempty"`

	// workloadIdentityProvider is the provider of a workload identity pool that trusts the cluster's issuer; the token of
	// identity.serviceAccountRef is exchanged there.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}$')",message="workloadIdentityProvider must be a provider's resource name, such as projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster"
	WorkloadIdentityProvider string `json:"workloadIdentityProvider,omitempty"`

	// gkeCluster is the GKE cluster whose identity namespace the token of identity.serviceAccountRef is exchanged in. Default, if there is
	// no workloadIdentityProvider and no fleetMembership: the cluster that the controller runs in, as the metadata server tells.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^projects/([a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]/locations/[a-z0-9-]+/clusters/[a-z][a-z0-9-]{0,39}$')",message="gkeCluster must be a cluster's resource name, such as projects/my-project/locations/europe-west1/clusters/my-cluster"
	GKECluster string `json:"gkeCluster,omitempty"`

	// fleetMembership is the cluster's membership of a fleet, whose identity pool the token of identity.serviceAccountRef is exchanged in.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^projects/([a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]/locations/[a-z0-9-]+/memberships/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')",message="fleetMembership must be a membership's resource name, such as projects/my-project/locations/global/memberships/my-cluster"
	FleetMembership string `json:"fleetMembership,omitempty"`

	// readOnlyScope asks for a token of the scope cloud-platform.read-only, which may change nothing whatever the identity may.
	// +optional
	ReadOnlyScope bool `json:"readOnlyScope,omitempty"`

	// serviceAccount is the Google service account that the identity impersonates. Default: the one that the annotation
	// iam.gke.io/gcp-service-account of identity.serviceAccountRef names, or nobody.
	// +optional
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9][a-z0-9.-]*@[a-z0-9][a-z0-9.-]*[.]gserviceaccount[.]com$')",message="serviceAccount must be the email of a Google service account, such as pull@my-project.iam.gserviceaccount.com"
	ServiceAccount string `json:"serviceAccount,omitempty"`

	// tokenLifetime is how long a token of the impersonated service account lives, from 10m to 12h. More than 1h needs the
	// organization policy iam.allowServiceAccountCredentialLifetimeExtension. Default: 1h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,5}[hms])+$') && duration(self) >= duration('10m') && duration(self) <= duration('12h')",message="tokenLifetime must be from 10m to 12h, such as 1h30m"
	TokenLifetime Lifetime `json:"tokenLifetime,omitempty"`
}
