package legacy

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestEachSpellingOfACommandIsFound(t *testing.T) {
	const aws, gcloud, az, kubectl = "aws ecr get-login-password", "gcloud auth print-access-token", "az acr login", "kubectl create secret docker-registry"
	for script, want := range map[string]string{
		"aws ecr get-login-password --region eu-west-1":                       aws,
		"TOKEN=$(aws ecr get-login-password)":                                 aws,
		"T=`aws ecr-public get-login-password`; echo":                         aws,
		"$(aws ecr get-login --no-include-email)":                             aws,
		"aws ecr --region eu-west-1 get-login-password":                       aws,
		"aws ecr --region \"$REGION\" --no-cli-pager get-login-password":      aws,
		"aws --region=eu-west-1 ecr --output=text get-authorization-token":    aws,
		"aws ecr \\\n  --region eu-west-1 \\\n  get-login-password":           aws,
		"aws ecr \\\r\n  get-login-password | docker login":                   aws,
		"aws ecr get-login-\\\npassword":                                      aws,
		"gcloud auth print-access-token":                                      gcloud,
		"gcloud auth --quiet print-access-token":                              gcloud,
		"gcloud auth application-default print-access-token":                  gcloud,
		"gcloud auth application-default --project 'a b' print-access-token":  gcloud,
		"gcloud \\\nauth \\\nprint-access-token":                              gcloud,
		"az acr login -n acme --expose-token":                                 az,
		"az acr login -n acme \\\n --expose-token":                            az,
		"az acr --only-show-errors login --name acme":                         az,
		"az acr login --name acme":                                            az,
		"kubectl create secret docker-registry pull":                          kubectl,
		"kubectl create secret -n x docker-registry pull":                     kubectl,
		"kubectl create --dry-run=client -o yaml secret docker-registry pull": kubectl,
		"kubectl -n x create \\\n secret \\\n docker-registry pull":           kubectl,

		"":                                         "",
		"aws ecr describe-repositories":            "",
		"aws ecr wait; get-login-password":         "",
		"az acr show --query loginServer":          "",
		"az acr build --image login .":             "",
		"tool --acr acme --login-server x":         "",
		"gcloud auth login":                        "",
		"kubectl create secret generic pull":       "",
		"kubectl create secret-of docker-registry": "",
	} {
		if got := Tool(&corev1.PodSpec{Containers: []corev1.Container{{Image: "tools", Command: []string{"sh", "-c", script}}}}); got != want {
			t.Errorf("%q: %q, want %q", script, got, want)
		}
	}
}

func TestACommandMayBeOfWordsAndAnImageTheTool(t *testing.T) {
	for want, c := range map[string]corev1.Container{
		"aws ecr get-login-password": {Image: "amazon/aws-cli", Args: []string{"ecr", "--region", "eu-west-1", "get-login-password"}},
		"msi-acrpull":                {Image: "mcr.example/aks/msi-acrpull@sha256:00"},
		"registry-creds":             {Image: "upmcenterprises/registry-creds"},
	} {
		if got := Tool(&corev1.PodSpec{InitContainers: []corev1.Container{c}}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
