package controllers

import (
	"os"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/regcred/regcred/test/controlplane"
)

var cluster *controlplane.ControlPlane

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(controlplane.RunTests(m, controlplane.Options{CRDDirectories: []string{"../config/crd"}}, func(started *controlplane.ControlPlane) {
		cluster = started
	}))
}
