package main

import (
	"slices"

	"github.com/go-logr/logr"
	gozap "go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// bodies is the verbosity from which on client-go logs the bodies of its requests and their answers, and with them Secrets and the tokens
// of ServiceAccounts (k8s.io/client-go/rest, logBody). It takes its logger from the context of a reconcile, so that it is ours.
const bodies = 8

// withoutBodies is a level that never shows bodies, whatever verbosity is asked for.
type withoutBodies struct{ zapcore.LevelEnabler }

func (w withoutBodies) Enabled(l zapcore.Level) bool { return l > -bodies && w.LevelEnabler.Enabled(l) }

// lazy writes the values of a logger down when something is logged with them, and so hardly ever: each reconcile has a logger of its own.
type lazy struct{ zapcore.Core }

// With implements zapcore.Core.
func (l lazy) With(fields []zapcore.Field) zapcore.Core {
	return lazy{zapcore.NewLazyWith(l.Core, fields)}
}

func (o *options) logger() logr.Logger {
	settings := o.log
	if settings.Level != nil {
		settings.Level = withoutBodies{settings.Level}
	}
	settings.ZapOpts = append(slices.Clone(settings.ZapOpts), gozap.WrapCore(func(core zapcore.Core) zapcore.Core { return lazy{core} }))
	return zap.New(zap.UseFlagOptions(&settings))
}
