// Package registryhost provides the one parser of registry hosts. Cloud tokens are sent to hosts that users name, so what is not
// plainly a host, in lower case and without anything around it, is refused instead of being normalized.
package registryhost

import (
	"errors"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Host is a registry's host, with a port if it is not 443.
type Host struct {
	name string
	port uint16
}

// ErrInvalid says what a host must look like. It does not quote the text: that may be anything.
var ErrInvalid = errors.New("not a registry host: use lower case letters, digits, '-' and '.', and a port if needed, " +
	"without scheme, user and path, such as registry.example.com:5000")

// label is a part of a host name (RFC 1123, 2.1).
var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// maxName is how long a host name may be (RFC 1035, 2.3.4, without length octets).
const maxName = 253

// Parse reads a host as it stands in an image reference. IPv6 addresses are refused: no image reference can hold one that all runtimes
// understand.
func Parse(s string) (Host, error) {
	name, port, hasPort := strings.Cut(s, ":")
	h := Host{name: name}
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return Host{}, ErrInvalid
		}
		h.port = uint16(n)
	}
	if name == "" || len(name) > maxName {
		return Host{}, ErrInvalid
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return Host{}, ErrInvalid
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		// What ends like a number is an IPv4 address to some resolvers, in whatever notation (WHATWG URL, 3.5).
		if _, err := netip.ParseAddr(name); err != nil {
			return Host{}, ErrInvalid
		}
	}
	return h, nil
}

// String is the host as it stands in an image reference.
func (h Host) String() string {
	if h.port == 0 {
		return h.name
	}
	return h.name + ":" + strconv.Itoa(int(h.port))
}

// Name is the host without its port.
func (h Host) Name() string { return h.name }

// HasPort says whether the host names a port.
func (h Host) HasPort() bool { return h.port != 0 }

// URL is the base of the host's registry API.
func (h Host) URL() string { return "https://" + h.String() }

// Under says whether the host is exactly one label below the suffix, such as myregistry.azurecr.io below azurecr.io.
func (h Host) Under(suffix string) bool {
	_, parent, ok := strings.Cut(h.name, ".")
	return ok && suffix != "" && parent == strings.TrimPrefix(suffix, ".")
}
