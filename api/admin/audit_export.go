package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"mediad/api/audit"
	"mediad/api/problem"
	"mediad/store/db"
)

const (
	ndjson = "application/x-ndjson"
	// exportPage is how many entries are in memory at a time.
	exportPage = 250
	// maxAuditExports run at the same time on a node; each reads as quickly as it is taken.
	maxAuditExports = 2
	// exportRetry is when to try again while there are that many.
	exportRetry = 30 * time.Second
)

type exportInput struct{ AuditFilter }

type exportOutput struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	Disposition string `header:"Content-Disposition" hidden:"true"`
}

// exportAudit answers with all entries that the filter leaves, as they were when it was asked for: later ones have greater ids.
func (h *handlers) exportAudit(ctx context.Context, in *exportInput) (*exportOutput, error) {
	f, none, err := h.narrowed(ctx, in.AuditFilter)
	if err != nil {
		return nil, err
	}
	select {
	case h.exports <- struct{}{}:
	default:
		return nil, problem.New(problem.RateLimited, "The audit log is being exported already. Wait until that is through.").Retry(exportRetry)
	}
	// Recorded first: what cannot be recorded is not done.
	filter := map[string]string{}
	for name, value := range in.values() {
		filter[name] = value[0]
	}
	begin, err := db.NewID()
	if err == nil {
		err = h.Accounts.Note(ctx, audit.Entry{Action: "audit.export", TargetType: "site", TargetID: "audit", After: filter})
	}
	if err != nil {
		<-h.exports
		return nil, err
	}
	f.Before = begin
	h.Stream(ctx, Streamed{
		Write: func(ctx context.Context, w io.Writer) error {
			if none {
				return nil
			}
			return h.writeAudit(ctx, w, f)
		},
		Done: func() { <-h.exports },
	})
	name := fmt.Sprintf("audit-%s.ndjson", time.Now().UTC().Format("20060102-150405"))
	return &exportOutput{ContentType: ndjson, Disposition: `attachment; filename="` + name + `"`}, nil
}

// writeAudit writes a page of entries at a time.
func (h *handlers) writeAudit(ctx context.Context, w io.Writer, f db.AuditFilter) error {
	var lines bytes.Buffer
	text := json.NewEncoder(&lines)
	text.SetEscapeHTML(false)
	for {
		q := h.Accounts.DB().Read(ctx)
		rows, err := q.ListAudit(f, exportPage)
		if err != nil {
			return err
		}
		found, err := entries(q, rows)
		if err != nil {
			return err
		}
		lines.Reset()
		for _, e := range found {
			if err := text.Encode(e); err != nil {
				return err
			}
		}
		if _, err := w.Write(lines.Bytes()); err != nil {
			return err
		}
		if len(rows) < exportPage {
			return nil
		}
		f.Before = rows[len(rows)-1].ID
	}
}
