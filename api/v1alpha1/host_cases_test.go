package v1alpha1_test

import (
	"fmt"
	"slices"
	"strings"
)

const (
	hostMessage    = "a host must be that of a registry as it stands in an image reference, such as registry.example.com or registry.example.com:5000"
	numericMessage = "a host that ends like a number must be an IPv4 address, such as 10.0.0.1, since resolvers take it for one"
)

// longHost is one of 253 characters, as many as there may be.
func longHost() string { return strings.Repeat(chars(61)+".", 4) + "abcde" }

func goodHosts(field string) []goodCase {
	var cases []goodCase
	for host := range strings.FieldsSeq("registry registry.example registry.example:1 registry.example:65535 localhost:5000 10.0.0.1 10.0.0.1:443 " +
		"a-b.0c xn--bcher-kva.example " + longHost()) {
		cases = append(cases, goodCase{field, `"` + host + `"`})
	}
	return cases
}

// badHosts are texts in a field of the type Host. What the providers' parser makes of many more is tested beside it.
func badHosts(field string) []badCase {
	return slices.Concat(
		[]badCase{tooLong(field, 253)},
		refused(field, hostMessage, "", "https://registry.example", "registry.example/team", "user@registry.example", "Registry.example",
			"registry.example.", ".registry.example", "registry..example", "registry.example:", "registry.example:0", "registry.example:65536",
			"registry.example:0443", "registry.example:https", "[::1]", "*.registry.example", "registry_1.example", "-a.example", "a-.example",
			chars(64)+".example", "registry.example\n", "registry.example ", "régistry.example"),
		refused(field, numericMessage, "1", "127.1", "2130706433:443", "10.0.0.01", "10.0.0.256", "1.2.3.4.5", "0x7f000001", "registry.0x1:443", "registry.42"),
	)
}

// largestEntries have as many and as long hosts as the schema admits: the API server bounds what the rules cost over a whole object.
func largestEntries() []goodCase {
	hosts := func(n int) string { return "[" + numbered(n, strings.Repeat(chars(61)+".", 4)+"a%04d") + "]" }
	var cases []goodCase
	for _, member := range []string{
		"static: {hosts: " + hosts(64) + "}, identity: {secretRef: {name: a}}",
		"artifactory: {url: https://" + longHost() + ", hosts: " + hosts(64) + "}, identity: {secretRef: {name: a}}",
		"plugin: {name: a, image: " + longHost() + "/" + chars(258) + ", hosts: " + hosts(63) + "}",
	} {
		entries := make([]string, 16)
		for i := range entries {
			entries[i] = fmt.Sprintf("{name: a%d, verify: {repository: %s, host: %s}, ", i, chars(255), longHost()) + member + "}"
		}
		cases = append(cases, goodCase{"spec.registries", "[" + strings.Join(entries, ", ") + "]"})
	}
	return cases
}
