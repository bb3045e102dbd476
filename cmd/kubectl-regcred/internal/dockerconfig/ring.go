package dockerconfig

import (
	"cmp"
	"slices"

	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/internal/dockerkey"
)

// Ring is the logins of the Secrets of a pod's list, in the list's order.
type Ring []Placed

// Placed is a login, and where it is.
type Placed struct {
	Secret, Key string
	Login
}

// Add takes in the next Secret of the list.
func (r *Ring) Add(secret string, config Config) {
	for _, key := range config.Keys() {
		*r = append(*r, Placed{secret, key, config[key]})
	}
}

// For returns the logins that the kubelet shows for an image, in its order. Logins of one Secret whose keys mean the same it shows in any.
func (r Ring) For(image diagnosis.Image) []Placed {
	keys := make([]string, len(r))
	for i, l := range r {
		keys[i] = l.Key
	}
	ranks := image.Ranks(keys)
	shown := slices.DeleteFunc(slices.Clone(r), func(l Placed) bool {
		_, chosen := ranks[l.Key]
		return !chosen
	})
	slices.SortStableFunc(shown, func(a, b Placed) int { return cmp.Compare(ranks[a.Key], ranks[b.Key]) })
	return shown
}

// Clashes are the pairs of logins that are for the same and differ: each with the first.
func (r Ring) Clashes() [][2]Placed {
	var clashes [][2]Placed
	first := map[string]Placed{}
	for _, l := range r {
		pattern, ok := dockerkey.Pattern(l.Key)
		other, taken := first[pattern]
		switch {
		case !ok: // the kubelet leaves it out
		case !taken:
			first[pattern] = l
		case other.Username != l.Username || other.Password != l.Password:
			clashes = append(clashes, [2]Placed{other, l})
		}
	}
	return clashes
}
