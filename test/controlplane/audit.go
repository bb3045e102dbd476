package controlplane

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// auditPolicy keeps the stage ResponseStarted, because a watch that is still open has reached no later one. Of Leases it keeps who asks for
// them: all replicas of a controller are one user.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  verbs: [create, update]
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: Metadata
`

// AuditRequest is one request that the API server has answered or, if it is a watch, has begun to answer.
type AuditRequest struct {
	Time        time.Time // when the API server received it
	Verb        string
	Group       string
	Resource    string
	Subresource string
	Namespace   string
	Name        string
	URI         string
	User        string
	UserAgent   string
	Code        int
	// Credential tells apart clients that are the same user: it is what the client's certificate is known by.
	Credential string
	// Holder is whom a written Lease names, empty for nobody.
	Holder string
}

// AuditRequests returns the requests received at since or later for which keep, if not nil, is true, in the order in which
// they were first answered. A request is on record before its client has the answer.
func (cp *ControlPlane) AuditRequests(since time.Time, keep func(AuditRequest) bool) ([]AuditRequest, error) {
	if cp.auditLog == "" {
		return nil, errors.New("the control plane was started without Options.AuditLog")
	}
	log, err := os.ReadFile(cp.auditLog)
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	var requests []AuditRequest
	place := map[string]int{} // a watch has two events, one when it begins and one when it ends
	for line := range bytes.Lines(log) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // still being written
		}
		var event auditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		request := event.request()
		if request.Time.Before(since) || keep != nil && !keep(request) {
			continue
		}
		if at, seen := place[event.AuditID]; seen {
			requests[at] = request
			continue
		}
		place[event.AuditID] = len(requests)
		requests = append(requests, request)
	}
	return requests, nil
}

// AuditReader reads the audit log on from where it stood.
type AuditReader struct {
	log    string
	offset int64
	open   map[string]bool // watches whose beginning was read
}

// FollowAudit gives a reader of the requests that are answered from now on.
func (cp *ControlPlane) FollowAudit() (*AuditReader, error) {
	r := &AuditReader{log: cp.auditLog, open: map[string]bool{}}
	_, err := r.Next()
	return r, err
}

// Next returns what was answered since the last call, in the order of the answers. A watch is there when it begins, and not when it ends.
func (r *AuditReader) Next() ([]AuditRequest, error) {
	log, err := os.Open(r.log)
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	defer func() { _ = log.Close() }()
	if _, err := log.Seek(r.offset, io.SeekStart); err != nil {
		return nil, err
	}
	written, err := io.ReadAll(log)
	if err != nil {
		return nil, err
	}
	var requests []AuditRequest
	for line := range bytes.Lines(written) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // still being written
		}
		r.offset += int64(len(line))
		var event auditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		if event.Verb == "watch" {
			if r.open[event.AuditID] {
				delete(r.open, event.AuditID)
				continue
			}
			r.open[event.AuditID] = true
		}
		requests = append(requests, event.request())
	}
	return requests, nil
}

func (cp *ControlPlane) configureAudit(log string) error {
	log, err := filepath.Abs(log)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		return err
	}
	policy := filepath.Join(cp.dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	cp.auditLog = log
	cp.env.ControlPlane.GetAPIServer().Configure().
		Set("audit-policy-file", policy).
		Set("audit-log-path", log).
		Set("audit-log-maxsize", "100000") // megabytes: a rotated log would hide requests
	return nil
}

// auditEvent is the part of audit.k8s.io/v1 Event that counts requests.
type auditEvent struct {
	AuditID    string `json:"auditID"`
	RequestURI string `json:"requestURI"`
	Verb       string `json:"verb"`
	User       struct {
		Username string              `json:"username"`
		Extra    map[string][]string `json:"extra"`
	} `json:"user"`
	UserAgent string `json:"userAgent"`
	ObjectRef struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	RequestObject struct {
		Spec struct {
			HolderIdentity string `json:"holderIdentity"`
		} `json:"spec"`
	} `json:"requestObject"`
	Received time.Time `json:"requestReceivedTimestamp"`
}

func (e auditEvent) request() AuditRequest {
	return AuditRequest{
		Time:        e.Received,
		Verb:        e.Verb,
		Group:       e.ObjectRef.APIGroup,
		Resource:    e.ObjectRef.Resource,
		Subresource: e.ObjectRef.Subresource,
		Namespace:   e.ObjectRef.Namespace,
		Name:        e.ObjectRef.Name,
		URI:         e.RequestURI,
		User:        e.User.Username,
		UserAgent:   e.UserAgent,
		Code:        e.ResponseStatus.Code,
		Credential:  strings.Join(e.User.Extra["authentication.kubernetes.io/credential-id"], ","),
		Holder:      e.RequestObject.Spec.HolderIdentity,
	}
}
