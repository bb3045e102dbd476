package main

import (
	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// bodies is the verbosity from which on client-go logs the bodies of its requests and their answers, and with them Secrets and the tokens
// of ServiceAccounts (k8s.io/client-go/rest, logBody). It takes its logger from the context of a reconcile, so that it is ours.
const bodies = 8

// withoutBodies is a level that never shows bodies, whatever verbosity is asked for.
type withoutBodies struct{ zapcore.LevelEnabler }

func (w withoutBodies) Enabled(l zapcore.Level) bool { return l > -bodies && w.LevelEnabler.Enabled(l) }

func (o *options) logger() logr.Logger {
	if o.log.Level != nil {
		o.log.Level = withoutBodies{o.log.Level}
	}
	return zap.New(zap.UseFlagOptions(&o.log))
}
