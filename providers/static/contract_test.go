package static_test

import (
	"context"
	"testing"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/providers/static"
	"github.com/regcred/regcred/test/cloud"
)

func TestContract(t *testing.T) {
	hub := startHub(t)
	token := hub.AddUser(cloud.HubUser{Name: "ci", Pull: []string{"team/*"}})
	providertest.Contract{
		New: func(*testing.T) (providers.Provider, providertest.Cloud) {
			return static.New(clock.RealClock{}), emulator{hub: hub}
		},
		Request: request(v1alpha1.Static{Host: "docker.io"}, map[string]string{"username": "ci", "password": token}),
		Canary:  cloud.CanaryDockerHub,
		Offline: true,
	}.Run(t)
}

func startHub(t *testing.T) *cloud.DockerHub {
	t.Helper()
	hub, err := cloud.StartDockerHub(cloud.DockerHubOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hub.Close() })
	return hub
}

// emulator has no faults: the provider would not notice them.
type emulator struct {
	providertest.Cloud
	hub *cloud.DockerHub
}

func (e emulator) Pull(ctx context.Context, host string, dockerConfigJSON []byte) error {
	if _, err := e.hub.SeedImage("team/app", "v1"); err != nil {
		return err
	}
	_, err := cloud.Pull(ctx, e.hub.Transport(), dockerConfigJSON, host+"/team/app:v1")
	return err
}
