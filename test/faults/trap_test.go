package faults

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// trap is the effect, by its number from 1, at which the controller ends, or is answered with an error. 0 is none.
type trap struct {
	at int
	// after is whether the effect takes place all the same.
	after bool
	// code is the error; 0 is the controller's end.
	code int
	// crash, if it is set, ends a part of the control plane in place of the controller, before anybody hears of the effect, and returns when
	// that is there again.
	crash func()
	// among is the kind of effects that are counted; empty for all.
	among string
	// more is how many of the next effects are answered with the error, too, but for calls to the cloud.
	more int
}

// kills is whether it ends the controller.
func (t trap) kills() bool { return t.at > 0 && t.code == 0 && t.crash == nil }

func (t trap) String() string {
	when, what := "before", "end"
	if t.after {
		when = "after"
	}
	if t.code != 0 {
		what = fmt.Sprint(t.code)
	}
	return fmt.Sprintf("%s %s %s %d", what, when, t.among, t.at)
}

// callToECR is the effect that is no write.
const callToECR = "a call to ECR"

// effectOf names a request that changes what others see; empty for all others.
func effectOf(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return ""
	}
	for _, none := range []string{"/leases", "/events", "/token", "reviews"} {
		if strings.Contains(r.URL.Path, none) {
			return ""
		}
	}
	resource := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	return r.Method + " " + strings.Join(resource[max(0, len(resource)-3):], "/")
}

// kindOf is what an effect does to which kind of object.
func kindOf(effect string) string {
	method, path, _ := strings.Cut(effect, " ")
	for _, kind := range []string{"secrets", "serviceaccounts", "status", "clusterregistrycredentials"} {
		if strings.Contains("/"+path, "/"+kind) {
			return method + " " + kind
		}
	}
	return effect
}

// reasons are what the API server says beside a code.
var reasons = map[int]metav1.StatusReason{
	http.StatusConflict: metav1.StatusReasonConflict, http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests,
	http.StatusInternalServerError: metav1.StatusReasonInternalError, http.StatusGatewayTimeout: metav1.StatusReasonTimeout,
}

// through lets a request through, unless the trap is set for it.
func (f *front) through(w http.ResponseWriter, r *http.Request, proxy http.Handler, effect string) {
	if effect == "" {
		proxy.ServeHTTP(w, r)
		return
	}
	f.mu.Lock()
	f.effects = append(f.effects, effect)
	trap := f.trap
	if trap.among == "" || kindOf(effect) == trap.among {
		f.counting++
	}
	caught := trap.at == f.counting && (trap.among == "" || kindOf(effect) == trap.among) ||
		trap.at < f.counting && f.counting <= trap.at+trap.more && strings.Contains(effect, "/")
	if caught {
		f.sprung = effect
	}
	f.mu.Unlock()
	if !caught {
		proxy.ServeHTTP(w, r)
		return
	}
	if trap.crash != nil {
		f.hold()
	}
	if trap.after {
		unseen := httptest.NewRecorder()
		proxy.ServeHTTP(unseen, r)
	}
	if trap.code != 0 {
		w.Header().Set("Content-Type", "application/json")
		if trap.code == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1") // the client obeys and asks again by itself; all other errors are for the controller
		}
		w.WriteHeader(trap.code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"a fault","code":%d}`, reasons[trap.code], trap.code)
		return
	}
	if trap.crash != nil {
		trap.crash()
		f.flow()
		panic(http.ErrAbortHandler)
	}
	f.kill()
	f.crashed <- struct{}{}
	panic(http.ErrAbortHandler)
}

// arm forgets what was counted, and sets the trap.
func (f *front) arm(t trap) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.effects, f.counting, f.trap, f.sprung = nil, 0, t, ""
}

// disarm takes the trap away, and forgets nothing.
func (f *front) disarm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trap = trap{}
}

// caught is the effect at which the trap sprang; empty if it did not.
func (f *front) caught() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sprung
}

func (f *front) counted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.effects)
}
