package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

const (
	maxImportBody = 8 << 20
	maxImportRows = 500
)

// importBatch is some rows of an import.
type importBatch struct {
	// AsOf is when the balances were so; what was bought before is part of them.
	AsOf   time.Time           `json:"as_of"`
	DryRun bool                `json:"dry_run,omitempty"` // only say what would change
	Source string              `json:"source,omitempty"`  // for the audit line in the log
	Rows   []gateway.ImportRow `json:"rows"`
}

// importAnswer is what became of them.
type importAnswer struct {
	Changed   int                    `json:"changed"`
	Unchanged int                    `json:"unchanged"`
	Refused   int                    `json:"refused"`
	Results   []gateway.ImportResult `json:"results"` // of rows that were changed or refused
}

// importRows serves POST /dodo/import.
func importRows(a *App, r *http.Request) (any, error) {
	batch, err := readAdminJSON[importBatch](r, maxImportBody)
	switch {
	case err != nil:
		return nil, err
	case len(batch.Rows) > maxImportRows:
		return nil, fmt.Errorf("%w: %d rows, and at most %d may be sent at once", errAdminRequest, len(batch.Rows), maxImportRows)
	case batch.AsOf.IsZero():
		return nil, fmt.Errorf("%w: as_of is missing", errAdminRequest)
	case batch.AsOf.After(time.Now().Add(time.Minute)):
		return nil, fmt.Errorf("%w: as_of is in the future", errAdminRequest)
	case len(batch.Source) > 256:
		return nil, fmt.Errorf("%w: source is longer than 256 bytes", errAdminRequest)
	}
	results, err := a.events.Import(r.Context(), batch.Rows, gateway.ImportOptions{AsOf: batch.AsOf, DryRun: batch.DryRun, Source: batch.Source})
	if err != nil && batch.DryRun {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("some of the rows may be imported; repeating them changes nothing twice: %w", err)
	}
	answer := importAnswer{Results: []gateway.ImportResult{}}
	for _, result := range results {
		switch {
		case result.Problem != "":
			answer.Refused++
		case len(result.Changes) > 0:
			answer.Changed++
		default:
			answer.Unchanged++
			continue
		}
		answer.Results = append(answer.Results, result)
	}
	return answer, nil
}

// readAdminJSON reads the body of a request: one JSON value with known fields only.
func readAdminJSON[T any](r *http.Request, limit int64) (value T, err error) {
	body := &io.LimitedReader{R: r.Body, N: limit + 1}
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(&value); err != nil {
		if body.N <= 0 {
			return value, fmt.Errorf("%w: the body is longer than %d bytes", errAdminRequest, limit)
		}
		return value, fmt.Errorf("%w: %w", errAdminRequest, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return value, fmt.Errorf("%w: there is something behind the JSON value", errAdminRequest)
	}
	return value, nil
}
