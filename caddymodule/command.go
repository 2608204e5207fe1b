package caddymodule

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "dodo",
		Short: "Explains and repairs what customers have paid for",
		Long: `
Explains and repairs what customers have paid for.

Its commands ask the gateway that is running, through Caddy's admin API: at
--address, or where the config in --config has it, or at '` + caddy.DefaultAdminListen + `'.`,
		CobraFunc: dodoCommand,
	})
}

func dodoCommand(dodo *cobra.Command) {
	dodo.Use = "dodo"
	dodo.Args = cobra.NoArgs
	dodo.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	flags := dodo.PersistentFlags()
	flags.String("address", "", "Address of the admin API")
	flags.StringP("config", "c", "", "Configuration file that has the address (if --address is not used)")
	flags.StringP("adapter", "a", "", "Name of config adapter to apply (if --config is used)")
	flags.Bool("json", false, "Print the admin API's answer")
	dodo.AddCommand(
		salesCommand(), accountsCommand(), eventsCommand(), findCommand(), parkedCommand(), eventCommand(), redriveCommand(),
		reconcileCommand(), rebuildCommand(), checkCommand(),
		accountCommand(), entriesCommand(), importCommand(),
		exportCommand(), assignCommand(), unassignCommand(), dismissCommand(),
		grantCommand(), takeCommand(), waiveCommand(), undoCommand(), actsCommand(), holdCommand(), closeCommand(),
	)
}

// examples are command lines as they are typed with this binary.
func examples(lines ...string) string {
	prefix := "  " + cmp.Or(caddy.CustomBinaryName, "caddy") + " dodo "
	return prefix + strings.Join(lines, "\n"+prefix)
}

// call sends a request to the admin API and reads its answer. With --json it
// prints that, and reports so.
func call[T any](cmd *cobra.Command, method, path string, query url.Values) (answer T, printed bool, err error) {
	raw, err := callRaw(cmd, method, path, query)
	if err != nil {
		return answer, false, err
	}
	if asJSON(cmd) {
		return answer, true, printJSON(cmd.OutOrStdout(), raw)
	}
	return answer, false, json.Unmarshal(raw, &answer)
}

func asJSON(cmd *cobra.Command) bool { return flagText(cmd, "json") == "true" }

// flagText is a flag of the command or of dodo as it was given, or its default.
func flagText(cmd *cobra.Command, name string) string { return cmd.Flag(name).Value.String() }

// maxAnswer is far more than the admin API answers.
const maxAnswer = 16 << 20

func callRaw(cmd *cobra.Command, method, path string, query url.Values) ([]byte, error) {
	return sendRaw(cmd, method, path, query, nil)
}

// sendRaw is callRaw with a body of JSON, unless that is nil.
func sendRaw(cmd *cobra.Command, method, path string, query url.Values, body io.Reader) ([]byte, error) {
	address, err := caddycmd.DetermineAdminAPIAddress(
		flagText(cmd, "address"), nil, flagText(cmd, "config"), flagText(cmd, "adapter"))
	if err != nil {
		return nil, fmt.Errorf("finding the admin API: %w", err)
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	header := http.Header{"Connection": {"close"}} // each call has a client of its own, which nobody closes
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	resp, err := caddycmd.AdminAPIRequest(address, method, path, header, body)
	if err != nil {
		// It quotes the answer.
		said := printable(strings.TrimSpace(err.Error()))
		if strings.HasPrefix(said, "performing request") {
			said = fmt.Sprintf("no admin API answers at %s: is the gateway running, and without `admin off`? --address or --config says where it is (%s)",
				printable(address), said)
		}
		return nil, errors.New(said)
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}

// pathOf makes a path of segments that may be any text. A segment of dots would be
// taken for a step up.
func pathOf(segments ...string) string {
	path := ""
	for _, s := range segments {
		path += "/" + strings.ReplaceAll(url.PathEscape(s), ".", "%2E")
	}
	return path
}

// pageFlags are those of a command that prints a page of a list.
func pageFlags(cmd *cobra.Command, from, meaning string) {
	cmd.Flags().String(from, "", meaning)
	cmd.Flags().Int("limit", maxAdminPage, "How many, at most "+strconv.Itoa(maxAdminPage))
}

func pageOf(cmd *cobra.Command, from string) url.Values {
	query := url.Values{"limit": {flagText(cmd, "limit")}}
	if text := flagText(cmd, from); text != "" {
		query.Set(from, text)
	}
	return query
}

// oneArg wants one argument, which names something.
func oneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return fmt.Errorf("exactly one %s is needed: %s", name, cmd.UseLine())
		}
		return nil
	}
}

// table prints rows of cells below each other. Cells may hold anything: much of it
// was written by others.
type table struct {
	w *tabwriter.Writer
}

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

func (t table) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			_, _ = t.w.Write([]byte("\t"))
		}
		_, _ = io.WriteString(t.w, cell(c))
	}
	_, _ = t.w.Write([]byte("\n"))
}

func (t table) print() error { return t.w.Flush() }

func cell(c any) string {
	text := ""
	switch c := c.(type) {
	case time.Time:
		if !c.IsZero() {
			text = c.UTC().Format(time.RFC3339)
		}
	case bool:
		text = map[bool]string{true: "yes", false: "no"}[c]
	default:
		text = fmt.Sprint(c)
	}
	return cmp.Or(printable(text), "-")
}

// printable is text that does nothing to a terminal: what is not visible is
// written as Go would write it in quotes.
func printable(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// printAsJSON prints what the answer of several calls is together.
func printAsJSON(cmd *cobra.Command, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), raw)
}

// printJSON prints JSON for people and programs, with everything that is not
// visible escaped.
func printJSON(w io.Writer, raw []byte) error {
	var indented bytes.Buffer
	if err := json.Indent(&indented, raw, "", "  "); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	var b strings.Builder
	for _, r := range strings.TrimSpace(indented.String()) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}
