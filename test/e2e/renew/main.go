// Command renew does in a pod what the CronJobs do that Regcred replaces: it asks ECR for a token, and writes it into a pull Secret, in place.
// AWS' settings are in the environment, as KUBECONFIG, REGISTRY, NAMESPACE and SECRET are.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const limit = time.Minute

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := renew(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "renew:", err)
		os.Exit(1) //nolint:gocritic // the context ends with the process
	}
}

func renew(ctx context.Context) error {
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	answer, err := ecr.NewFromConfig(settings).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return err
	}
	if len(answer.AuthorizationData) == 0 || answer.AuthorizationData[0].AuthorizationToken == nil {
		return errors.New("the answer holds no token")
	}
	login, err := base64.StdEncoding.DecodeString(*answer.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		return err
	}
	content, err := json.Marshal(map[string]any{"auths": map[string]any{os.Getenv("REGISTRY"): map[string][]byte{"auth": login}}})
	if err != nil {
		return err
	}
	return write(ctx, content)
}

// write writes the Secret, or creates it.
func write(ctx context.Context, content []byte) error {
	access, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	clients, err := kubernetes.NewForConfig(access)
	if err != nil {
		return err
	}
	secrets := clients.CoreV1().Secrets(os.Getenv("NAMESPACE"))
	secret, err := secrets.Get(ctx, os.Getenv("SECRET"), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: os.Getenv("SECRET")}, Type: corev1.SecretTypeDockerConfigJson,
			Data: map[string][]byte{corev1.DockerConfigJsonKey: content},
		}, metav1.CreateOptions{})
	case err == nil:
		secret.Data = map[string][]byte{corev1.DockerConfigJsonKey: content}
		_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
	}
	return err
}
