package cluster

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Explain is what an error says. Where the API server cannot be reached it says so, instead of the request that would have been made.
func Explain(err error) string {
	text := err.Error()
	down, ok := errors.AsType[*url.Error](err)
	if !ok {
		return text
	}
	host := down.URL
	if u, err := url.Parse(down.URL); err == nil {
		host = u.Host
	}
	return strings.ReplaceAll(text, down.Error(), fmt.Sprintf("the API server at %s cannot be reached (%v): look at --context and --kubeconfig", host, down.Err))
}
