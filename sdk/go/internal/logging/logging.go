// Package logging is the handler of log/slog that tells the host: one line a record, "MESSAGE
// KEY=VALUE ...". The host names plugin, network and container itself.
package logging

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/wharfinger/wharfinger/sdk/go/internal/host"
)

// Handler is of all levels: the host decides which it keeps.
func Handler() slog.Handler {
	line := &bytes.Buffer{}
	options := &slog.HandlerOptions{Level: slog.Level(math.MinInt)}
	return &handler{keys: slog.NewTextHandler(line, options), line: line}
}

// handler writes a record's keys to line by a handler of the standard library.
type handler struct {
	keys slog.Handler
	line *bytes.Buffer
}

func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	bare := slog.NewRecord(time.Time{}, record.Level, "", 0)
	record.Attrs(func(attr slog.Attr) bool {
		bare.AddAttrs(attr)
		return true
	})
	h.line.Reset()
	if err := h.keys.Handle(ctx, bare); err != nil {
		return err
	}
	// The host's line has time and level of its own.
	before := "level=" + record.Level.String() + ` msg=""`
	keys := strings.TrimSuffix(strings.TrimPrefix(h.line.String(), before), "\n")
	host.Log(record.Level, record.Message+keys)
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{keys: h.keys.WithAttrs(attrs), line: h.line}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{keys: h.keys.WithGroup(name), line: h.line}
}
