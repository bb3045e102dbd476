package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
)

// loginCommand makes this program do what `aws ecr get-login-password` does, with the same settings of the environment.
const loginCommand = "get-login-password"

func printLogin() int {
	password, err := ecrLogin(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "get-login-password:", err)
		return 1
	}
	fmt.Println(password)
	return 0
}

func ecrLogin(ctx context.Context) (string, error) {
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return "", err
	}
	answer, err := ecr.NewFromConfig(settings).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return "", err
	}
	if len(answer.AuthorizationData) == 0 || answer.AuthorizationData[0].AuthorizationToken == nil {
		return "", errors.New("the answer holds no token")
	}
	login, err := base64.StdEncoding.DecodeString(*answer.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		return "", err
	}
	_, password, _ := strings.Cut(string(login), ":")
	return password, nil
}

// login asks for a token as a person would.
func (e *e2e) login(ctx context.Context) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, self, loginCommand)
	cmd.Env = append(e.lab.AWS.Env(), "AWS_REGION="+region, "HOME="+e.dir)
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func lastLine(out []byte) string {
	out = bytes.TrimSpace(out)
	return string(out[bytes.LastIndexByte(out, '\n')+1:])
}
