package broker_test

import (
	"context"

	"github.com/regcred/regcred/providers"
)

// recording notes which entries it is called for, one at a time.
type recording struct {
	*fake
	order *[]string
}

func (r recording) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	r.mu.Lock()
	*r.order = append(*r.order, req.Registry.ECR.ExternalID)
	r.mu.Unlock()
	return r.fake.Token(ctx, req)
}
