package cloud

import (
	"slices"
	"sync"
	"time"
)

// Refusal is a request that the registry of ECR has refused although it came with a token of its own: the token lives no longer.
type Refusal struct {
	At   time.Time // by the clock of the cloud
	Real time.Time // by that of the machine
	Host string
	Token
}

type refusals struct {
	mu  sync.Mutex
	all []Refusal
}

func (r *refusals) add(refused Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, refused)
}

func (r *refusals) list() []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}
