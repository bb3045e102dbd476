package target

import (
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// longestOverride is how far ahead an override may end: a login by hand is for the hours in which a cloud or an identity is down.
const longestOverride = 7 * 24 * time.Hour

// effective is the entry that the token is made from now: while an override lasts, that of a static source with the hosts that the entry's
// token was for. Failure is why an override cannot take effect; the provider's token is then published as if there were none.
func (e *Entry) effective(spec v1alpha1.Registry, o observed, now time.Time) (v1alpha1.Registry, *credential.Failure) {
	override := spec.Override
	if override == nil || !now.Before(override.Until.Time) {
		return spec, nil
	}
	if override.Until.Sub(now) > longestOverride {
		return spec, &credential.Failure{Reason: v1alpha1.ReasonOverrideInvalid, Terminal: true,
			Message: "override.until is more than 7 days ahead: choose a time at which the provider's token is back"}
	}
	hosts := o.Records[spec.Name].Hosts
	if len(hosts) == 0 {
		return spec, &credential.Failure{Reason: v1alpha1.ReasonOverrideInvalid, RetryAfter: credential.RetryAfter,
			Message: "an override takes the hosts of the entry's token, and there was none yet: add an entry with static for the registry's host instead"}
	}
	by := v1alpha1.Registry{Name: spec.Name, Static: &v1alpha1.Static{}, Identity: &v1alpha1.Identity{SecretRef: &override.SecretRef}}
	for _, host := range hosts {
		by.Static.Hosts = append(by.Static.Hosts, v1alpha1.Host(host))
	}
	e.OverrideUntil = override.Until.UTC()
	return by, nil
}
