package access

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// attribute is one of a block of Terraform. A raw one is an expression, and else the value is quoted.
type attribute struct {
	name, value string
	raw         bool
}

// block is a block of Terraform: a resource, or data of what is there already.
func block(block, kind, name string, attributes ...attribute) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s {\n", block, output.Terraform(kind), output.Terraform(label(name)))
	for _, a := range attributes {
		value := a.value
		if !a.raw {
			value = output.Terraform(value)
		}
		fmt.Fprintf(&b, "  %s = %s\n", a.name, value)
	}
	b.WriteString("}\n")
	return b.String()
}

// label makes a name fit to be one in Terraform.
func label(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, name)
}
