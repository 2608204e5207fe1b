package simulator

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

const (
	maxAnswer   = 64 << 20         // of a simulator that knows a lot
	callTimeout = 10 * time.Minute // a replay waits for the receiver
)

// callControl sends a request to the control API and returns its answer.
func callControl(cmd *cobra.Command, method, path string, body any) (json.RawMessage, error) {
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	return send(cmd, method, path, "application/json", encoded)
}

func send(cmd *cobra.Command, method, path, contentType string, body []byte) (json.RawMessage, error) {
	base := cmp.Or(flagText(cmd, "simulator"), os.Getenv("DODOGATE_SIMULATOR"), defaultURL)
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("--simulator must be an http or https URL, such as " + defaultURL)
	}
	ctx, cancel := context.WithTimeout(contextOf(cmd), callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(base, "/")+"/__sim/"+path, bytes.NewReader(body)) //nolint:gosec // the URL is the developer's own
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	if key := cmp.Or(flagText(cmd, "api-key"), os.Getenv("DODOGATE_SIMULATOR_KEY")); key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	answer, err := http.DefaultClient.Do(request) //nolint:gosec // the same
	if err != nil {
		return nil, fmt.Errorf("no simulator answers: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the simulator broke off: %w", err)
	}
	if answer.StatusCode == http.StatusOK && json.Valid(text) {
		return text, nil
	}
	return nil, refusal(answer.StatusCode, text)
}

// refusal is what the simulator says, in one line.
func refusal(status int, body []byte) error {
	var problem struct{ Detail string }
	if json.Unmarshal(body, &problem) == nil && problem.Detail != "" {
		return errors.New(printable(problem.Detail))
	}
	return fmt.Errorf("that is no simulator: it answers %d", status)
}

func contextOf(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

// answer calls the control API and decodes its answer; with --json it prints that, and
// reports so.
func answer[T any](cmd *cobra.Command, method, path string, body any) (decoded T, printed bool, err error) {
	raw, err := callControl(cmd, method, path, body)
	if err != nil {
		return decoded, false, err
	}
	if flagText(cmd, "json") == "true" {
		return decoded, true, printJSON(cmd.OutOrStdout(), raw)
	}
	return decoded, false, json.Unmarshal(raw, &decoded)
}

// flagText is a flag of the command or of sim as it was given, or its default.
func flagText(cmd *cobra.Command, name string) string { return cmd.Flag(name).Value.String() }

// printJSON prints JSON for people and programs. The simulator escapes in it what could
// disturb a terminal, but for what Unicode has above ASCII's control characters.
func printJSON(w io.Writer, raw json.RawMessage) error {
	var indented bytes.Buffer
	if err := json.Indent(&indented, raw, "", "  "); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	var b strings.Builder
	for _, r := range strings.TrimSpace(indented.String()) {
		if r == '\n' || strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(escaped(r))
		}
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

// escaped is a character as JSON and Go write it in quotes.
func escaped(r rune) string {
	quoted, _ := json.Marshal(string(r))
	if ascii := strconv.QuoteRuneToASCII(r); len(ascii) > 2 && string(quoted) == `"`+string(r)+`"` {
		return strings.Trim(ascii, "'")
	}
	return strings.Trim(string(quoted), `"`)
}

// printable is text that does nothing to a terminal.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// table prints rows of cells below each other.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

func (t table) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			_, _ = io.WriteString(t.w, "\t")
		}
		_, _ = io.WriteString(t.w, cmp.Or(printable(fmt.Sprint(c)), "-"))
	}
	_, _ = io.WriteString(t.w, "\n")
}

func (t table) print() error { return t.w.Flush() }
