package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/regcred/regcred/test/cloud"
)

func (d *demo) pullImage(ctx context.Context) error {
	for _, secret := range []struct{ namespace, name string }{{shop, shared}, {team, own}} {
		if err := d.pullWith(ctx, secret.namespace, secret.name); err != nil {
			return err
		}
	}
	refusal, err := d.refused(ctx, []byte(`{"auths":{}}`), http.StatusUnauthorized)
	if err != nil {
		return err
	}
	d.done("without the Secret, the registry answers %s", refusal)
	madeUp, err := json.Marshal(map[string]any{"auths": map[string]any{
		registry: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte("AWS:made-up"))},
	}})
	if err != nil {
		return err
	}
	if refusal, err = d.refused(ctx, madeUp, http.StatusUnauthorized); err != nil {
		return err
	}
	d.done("with a made-up token, too: %s", refusal)
	return nil
}

// pullWith pulls the image with a Secret's present bytes.
func (d *demo) pullWith(ctx context.Context, namespace, name string) error {
	secret, err := d.present(ctx, namespace, name)
	if err != nil {
		return err
	}
	transport := d.lab.AWS.Transport()
	defer transport.CloseIdleConnections()
	digest, err := cloud.Pull(ctx, transport, content(secret), image)
	if err != nil {
		return fmt.Errorf("pulling with Secret %s/%s: %w", namespace, name, err)
	}
	d.done("pulled %s/%s:v1 (%.19s…) with the bytes of Secret %s/%s", "…", repository, digest, namespace, name)
	return nil
}

// refused tries a pull that the registry must refuse with this status, and returns its words.
func (d *demo) refused(ctx context.Context, dockerConfig []byte, status int) (string, error) {
	rt := d.lab.AWS.Transport()
	defer rt.CloseIdleConnections()
	_, err := cloud.Pull(ctx, rt, dockerConfig, image)
	var refusal *transport.Error
	switch {
	case err == nil:
		return "", errors.New("a pull succeeded that the registry should have refused")
	case !errors.As(err, &refusal):
		return "", err
	case refusal.StatusCode != status:
		return "", fmt.Errorf("the registry refused a pull with status %d instead of %d: %w", refusal.StatusCode, status, err)
	}
	words := fmt.Sprintf("%d %s", status, http.StatusText(status))
	if len(refusal.Errors) > 0 {
		words += ": " + refusal.Errors[0].Message
	}
	return words, nil
}
