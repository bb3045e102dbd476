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

	"github.com/regcred/regcred/test/cloud"
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

// operator is the user with whose key people and their scripts ask for tokens: the controller's own tokens must not be taken for theirs.
const (
	operatorKeyID  = "AKIAE2EOPERATOR00000"
	operatorSecret = "made-up-and-known-to-the-emulator-only"
)

func (e *e2e) addOperator() {
	e.lab.AWS.AddUser(cloud.User{
		Account: cloud.DefaultAccount, Name: "operator", AccessKeyID: operatorKeyID, SecretAccessKey: operatorSecret,
		MayGetToken: true, Pull: []string{"*"},
	})
}

// operatorEnv is the environment of the operator's programs; of two values of a variable the last counts.
func (e *e2e) operatorEnv() []string {
	return append(e.lab.AWS.Env(), "AWS_ACCESS_KEY_ID="+operatorKeyID, "AWS_SECRET_ACCESS_KEY="+operatorSecret, "AWS_REGION="+region)
}

// login asks for a token of the region as a person would.
func (e *e2e) login(ctx context.Context, region string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, self, loginCommand)
	cmd.Env = append(e.operatorEnv(), "HOME="+e.dir, "AWS_REGION="+region)
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func lastLine(out []byte) string {
	out = bytes.TrimSpace(out)
	return string(out[bytes.LastIndexByte(out, '\n')+1:])
}
