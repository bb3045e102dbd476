package lab

import (
	"errors"

	"github.com/regcred/regcred/test/cloud"
)

// Clouds are all the emulated clouds, on one Internet.
type Clouds struct {
	Internet  *cloud.Internet
	AWS       *cloud.AWS
	Google    *cloud.Google
	Azure     *cloud.Azure
	JFrog     *cloud.JFrog
	DockerHub *cloud.DockerHub
}

// StartClouds starts healthy clouds; those of AWS are as the options say, and the others have their life of tokens.
func StartClouds(aws cloud.Options) (c *Clouds, err error) {
	c = &Clouds{}
	defer func(started *Clouds) { // a return of nil, err has set c to nil by then
		if err != nil {
			err = errors.Join(err, started.Close())
		}
	}(c)
	if c.Internet, err = cloud.StartInternet(); err != nil {
		return nil, err
	}
	aws.Internet = c.Internet
	if c.AWS, err = cloud.StartAWS(aws); err != nil {
		return nil, err
	}
	if c.Google, err = cloud.StartGoogle(cloud.GoogleOptions{Internet: c.Internet, TokenLife: aws.TokenLife}); err != nil {
		return nil, err
	}
	if c.Azure, err = cloud.StartAzure(cloud.AzureOptions{Internet: c.Internet, TokenLife: aws.TokenLife}); err != nil {
		return nil, err
	}
	if c.JFrog, err = cloud.StartJFrog(cloud.JFrogOptions{Internet: c.Internet}); err != nil {
		return nil, err
	}
	if c.DockerHub, err = cloud.StartDockerHub(cloud.DockerHubOptions{Internet: c.Internet}); err != nil {
		return nil, err
	}
	return c, nil
}

// Close ends all of them.
func (c *Clouds) Close() error {
	var errs []error
	if c.AWS != nil {
		errs = append(errs, c.AWS.Close())
	}
	if c.Google != nil {
		errs = append(errs, c.Google.Close())
	}
	if c.Azure != nil {
		errs = append(errs, c.Azure.Close())
	}
	if c.JFrog != nil {
		errs = append(errs, c.JFrog.Close())
	}
	if c.DockerHub != nil {
		errs = append(errs, c.DockerHub.Close())
	}
	if c.Internet != nil {
		errs = append(errs, c.Internet.Close())
	}
	return errors.Join(errs...)
}

// Env is the environment in which the controller's SDKs find all of them.
func (c *Clouds) Env() []string {
	env := append(c.Internet.Env(), c.AWS.Env()...)
	env = append(env, c.Google.Env()...)
	return append(env, c.Azure.Env()...)
}
