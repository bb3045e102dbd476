package cloud

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The actions of the metadata server.
const (
	ActionMetadataToken = "metadata:Token"
	ActionMetadataGet   = "metadata:Get"
)

// metadataMargin is how long before the end of a token the metadata server makes a new one. Google says 4 to 5 minutes; the least is the
// hardest.
const metadataMargin = 4 * time.Minute

const (
	metadataRoot      = "/computeMetadata/v1/"
	metadataTokenPath = "instance/service-accounts/default/token"
)

// googleNode is what the metadata server knows.
type googleNode struct {
	mu sync.Mutex
	// cluster is the name of the node's GKE cluster; empty for a virtual machine that is in none.
	cluster string
	token   string
}

// SetNodeCluster says which GKE cluster the node is in, by its name as in GoogleCluster; none if it is empty.
func (g *Google) SetNodeCluster(name string) {
	g.node.mu.Lock()
	defer g.node.mu.Unlock()
	g.node.cluster = name
}

func (g *Google) metadataService() *service {
	s := g.googleService(g.Metadata, func(r *request) string {
		if strings.HasSuffix(r.URL.Path, metadataTokenPath) {
			return ActionMetadataToken
		}
		return ActionMetadataGet
	}, g.getMetadata)
	s.refuse = func(w http.ResponseWriter, _ *request, f *failure) {
		w.Header().Set("Metadata-Flavor", "Google")
		writeWhole(w, f.status, "text/html; charset=UTF-8", []byte("<!DOCTYPE html><title>Error</title>"+f.message))
	}
	return s
}

func (g *Google) getMetadata(r *request) (http.HandlerFunc, *failure) {
	if r.Header.Get("Metadata-Flavor") != "Google" || r.Header.Get("X-Forwarded-For") != "" {
		return nil, &failure{status: http.StatusForbidden, code: "FORBIDDEN", message: "Missing Metadata-Flavor:Google header."}
	}
	value, contentType := g.metadataValue(strings.TrimPrefix(r.URL.Path, metadataRoot))
	if value == "" {
		return nil, &failure{status: http.StatusNotFound, code: "NOT_FOUND", message: "The requested URL was not found on this server."}
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		writeWhole(w, http.StatusOK, contentType, []byte(value))
	}, nil
}

func (g *Google) metadataValue(path string) (value, contentType string) {
	g.node.mu.Lock()
	defer g.node.mu.Unlock()
	const text = "application/text"
	parts := strings.Split(g.node.cluster, "/")
	switch {
	case path == metadataTokenPath:
		return g.nodeToken(), "application/json"
	case path == "instance/service-accounts/default/email":
		return GoogleAmbientAccount, text
	case path == "project/project-id":
		return GoogleProject, text
	case path == "instance/attributes/cluster-location" && len(parts) == 6:
		return parts[3], text
	case path == "instance/attributes/cluster-name" && len(parts) == 6:
		return parts[5], text
	}
	return "", ""
}

// nodeToken repeats the token at hand until it has but a few minutes left.
func (g *Google) nodeToken() string {
	now := g.clock.now()
	token, ok := g.tokens.find(g.node.token)
	if !ok || !token.live(now) || token.ExpiresAt.Sub(now) <= metadataMargin {
		g.node.token, token = g.tokens.mint(GoogleMember(GoogleAmbientAccount), googleScope, now, g.life(googleTokenLife))
	}
	body, err := json.Marshal(map[string]any{
		"access_token": g.node.token, "expires_in": int(token.ExpiresAt.Sub(now).Seconds()), "token_type": "Bearer",
	})
	if err != nil {
		panic(err) // these are plain values
	}
	return string(body)
}
