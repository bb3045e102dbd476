package plugin

import (
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kubeletconfig "k8s.io/kubelet/config/v1"
	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
)

// pluginName is what spec.plugin.name can hold: a file name, and nothing that leads out of a directory.
var pluginName = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,62}$`)

// validate applies the kubelet's rules (kubernetes pkg/credentialprovider/plugin/config.go), and refuses besides what the kubelet takes
// and never uses.
func validate(config *kubeletconfig.CredentialProviderConfig) field.ErrorList {
	var errs field.ErrorList
	at := field.NewPath("providers")
	if len(config.Providers) == 0 {
		errs = append(errs, field.Required(at, "at least one plugin"))
	}
	names := sets.New[string]()
	for i, p := range config.Providers {
		at := at.Key(p.Name)
		if p.Name == "" {
			at = field.NewPath("providers").Index(i)
		}
		if !pluginName.MatchString(p.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), p.Name, "must be the file name of a plugin: "+
				"at most 63 letters, digits, '.', '_' and '-', not starting with '.' or '-'"))
		}
		if names.Has(p.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), p.Name))
		}
		names.Insert(p.Name)
		errs = append(errs, validateProvider(at, p)...)
	}
	return errs
}

func validateProvider(at *field.Path, p kubeletconfig.CredentialProvider) field.ErrorList {
	var errs field.ErrorList
	if v1 := credentialprovider.SchemeGroupVersion.String(); p.APIVersion != v1 {
		errs = append(errs, field.NotSupported(at.Child("apiVersion"), p.APIVersion, []string{v1}))
	}
	if len(p.MatchImages) == 0 {
		errs = append(errs, field.Required(at.Child("matchImages"), "at least one image pattern"))
	}
	for i, m := range p.MatchImages {
		if _, err := parsePattern(m); err != nil {
			errs = append(errs, field.Invalid(at.Child("matchImages").Index(i), m, err.Error()))
		}
	}
	switch {
	case p.DefaultCacheDuration == nil:
		errs = append(errs, field.Required(at.Child("defaultCacheDuration"), "how long credentials are good for if the plugin does not say"))
	case p.DefaultCacheDuration.Duration < 0:
		errs = append(errs, field.Invalid(at.Child("defaultCacheDuration"), p.DefaultCacheDuration.Duration.String(), "must not be negative"))
	}
	set := sets.New[string]()
	for i, e := range p.Env {
		at := at.Child("env").Index(i)
		switch {
		case e.Name == "" || strings.ContainsAny(e.Name, "=\x00"):
			errs = append(errs, field.Invalid(at.Child("name"), e.Name, "must be the name of an environment variable"))
		case set.Has(e.Name):
			errs = append(errs, field.Duplicate(at.Child("name"), e.Name))
		case strings.ContainsRune(e.Value, 0):
			errs = append(errs, field.Invalid(at.Child("value"), "(not shown)", "must not hold a NUL character"))
		}
		set.Insert(e.Name)
	}
	if p.TokenAttributes != nil {
		errs = append(errs, validateAttributes(at.Child("tokenAttributes"), p.TokenAttributes)...)
	}
	return errs
}

func validateAttributes(at *field.Path, a *kubeletconfig.ServiceAccountTokenAttributes) field.ErrorList {
	var errs field.ErrorList
	if a.ServiceAccountTokenAudience == "" {
		errs = append(errs, field.Required(at.Child("serviceAccountTokenAudience"), "the audience of the ServiceAccount's token"))
	}
	switch a.CacheType {
	case kubeletconfig.ServiceAccountServiceAccountTokenCacheType, kubeletconfig.TokenServiceAccountTokenCacheType:
	default:
		errs = append(errs, field.NotSupported(at.Child("cacheType"), a.CacheType, []kubeletconfig.ServiceAccountTokenCacheType{
			kubeletconfig.ServiceAccountServiceAccountTokenCacheType, kubeletconfig.TokenServiceAccountTokenCacheType}))
	}
	switch {
	case a.RequireServiceAccount == nil:
		errs = append(errs, field.Required(at.Child("requireServiceAccount"), "whether the plugin may be asked without a ServiceAccount"))
	case !*a.RequireServiceAccount && len(a.RequiredServiceAccountAnnotationKeys) > 0:
		errs = append(errs, field.Forbidden(at.Child("requiredServiceAccountAnnotationKeys"), "set requireServiceAccount to true, or remove this field"))
	}
	seen := sets.New[string]()
	for _, list := range []struct {
		name string
		keys []string
	}{
		{"requiredServiceAccountAnnotationKeys", a.RequiredServiceAccountAnnotationKeys},
		{"optionalServiceAccountAnnotationKeys", a.OptionalServiceAccountAnnotationKeys},
	} {
		for i, k := range list.keys {
			at := at.Child(list.name).Index(i)
			// An annotation's key is a qualified name in whatever case (apimachinery pkg/api/validation).
			for _, message := range validation.IsQualifiedName(strings.ToLower(k)) {
				errs = append(errs, field.Invalid(at, k, message))
			}
			if seen.Has(k) {
				errs = append(errs, field.Duplicate(at, k))
			}
			seen.Insert(k)
		}
	}
	return errs
}
