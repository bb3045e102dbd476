// Command keyring is the kubelet's choice of a login: for each line of JSON on stdin, with the Secrets of a pod's list and an image, it prints the
// users of the logins that the kubelet shows, in its order.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
	"k8s.io/kubernetes/pkg/util/parsers"
)

type question struct {
	Secrets []corev1.Secret
	Image   string
}

type answer struct {
	// Parsed is whether the kubelet can read the image's name, and Malformed whether it cannot read a Secret, and so gives up.
	Parsed, Malformed bool
	Users             []string
}

func main() {
	questions, out := json.NewDecoder(bufio.NewReader(os.Stdin)), bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for {
		var q question
		err := questions.Decode(&q)
		if errors.Is(err, io.EOF) {
			break
		}
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

// choose does what the kubelet does with an image and the Secrets of its pod (pkg/kubelet/images).
func choose(q question) (a answer) {
	name, _, _, err := parsers.ParseImageName(q.Image)
	if err != nil {
		return a
	}
	a.Parsed = true
	keyring, err := secrets.MakeDockerKeyring(q.Secrets, &credentialprovider.BasicDockerKeyring{})
	if err != nil {
		a.Malformed = true
		return a
	}
	logins, _ := keyring.Lookup(name)
	for _, l := range logins {
		a.Users = append(a.Users, l.Username)
	}
	return a
}
