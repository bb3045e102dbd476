// Command keyring is the kubelet's choice of a login: for each line of JSON on stdin, with the keys of a docker config and an image, it prints the
// keys whose logins the kubelet shows, in its order.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/util/parsers"
)

type question struct {
	Keys  []string
	Image string
}

type answer struct {
	// Chosen are the keys; Parsed is whether the kubelet can read the image's name.
	Chosen []string
	Parsed bool
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for lines.Scan() {
		var q question
		err := json.Unmarshal(lines.Bytes(), &q)
		if err == nil {
			err = encoder.Encode(choose(q))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "keyring:", err)
			os.Exit(1)
		}
	}
	if err := out.Flush(); err != nil {
		os.Exit(1)
	}
}

func choose(q question) answer {
	name, _, _, err := parsers.ParseImageName(q.Image)
	if err != nil {
		return answer{}
	}
	// A login tells by its user which key it is of.
	config := credentialprovider.DockerConfig{}
	for _, key := range q.Keys {
		config[key] = credentialprovider.DockerConfigEntry{Username: key}
	}
	keyring := &credentialprovider.BasicDockerKeyring{}
	keyring.Add(nil, config)
	logins, _ := keyring.Lookup(name)
	a := answer{Parsed: true}
	for _, l := range logins {
		a.Chosen = append(a.Chosen, l.Username)
	}
	return a
}
