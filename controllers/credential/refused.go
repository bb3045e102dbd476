package credential

import "regexp"

// refusers are how the API server names who has refused a request. Their own text follows, which others write: it is not told.
var refusers = []struct {
	what string
	name *regexp.Regexp
}{
	{"the quota ", regexp.MustCompile(`exceeded quota: ([a-z0-9][a-z0-9.-]{0,252})[,:]`)},
	{"the admission webhook ", regexp.MustCompile(`admission webhook "([a-z0-9][a-z0-9.-]{0,252})" denied`)},
	{"the admission webhook ", regexp.MustCompile(`failed calling webhook "([a-z0-9][a-z0-9.-]{0,252})"`)},
	{"the admission policy ", policyRefused},
}

var policyRefused = regexp.MustCompile(`ValidatingAdmissionPolicy '([a-z0-9][a-z0-9.-]{0,252})' with binding`)

// RefusedByPolicy says whether an admission policy has refused a request: it would refuse the same again.
func RefusedByPolicy(err error) bool { return err != nil && policyRefused.MatchString(err.Error()) }

// RefusedBy names the quota, the webhook or the policy that has refused a request; "" if none did.
func RefusedBy(err error) string {
	if err == nil {
		return ""
	}
	for _, r := range refusers {
		if match := r.name.FindStringSubmatch(err.Error()); match != nil {
			return r.what + match[1]
		}
	}
	return ""
}

// Unanswered is the failure of a request that the API server could not serve.
func Unanswered(what string, err error) *Failure {
	f := FailureOf(err)
	if by := RefusedBy(err); by != "" {
		f.Message = what + " fails because of " + by + ": it is tried again"
	} else {
		f.Message = what + " fails: the API server returned an error or did not answer; it is tried again"
	}
	return f
}
