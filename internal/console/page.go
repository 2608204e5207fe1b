package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dodogate/dodogate/internal/gateway"
)

var (
	//go:embed pages/*.html
	pageFiles embed.FS
	//go:embed pages/style.css
	style string

	pages = template.Must(template.New("").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(style) }, //nolint:gosec // our own file
		"shown": shown,
		"time":  showTime,
		"money": gateway.Money,
		"acts":  func(token string, e parked) acts { return acts{token, e} },
	}).ParseFS(pageFiles, "pages/*.html"))

	// contentPolicy allows the style sheet, by its hash, and forms to the console.
	contentPolicy = "default-src 'none'; style-src '" + hashOf(style) +
		"'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// write renders a page completely before it sends any of it.
func write(w http.ResponseWriter, v view) {
	if v.Status == 0 {
		v.Status = http.StatusOK
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, v.page, v); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	// Caddy lets a browser in by the Origin or the Referer of its request, so a link of
	// ours must say where it is.
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(v.Status)
	_, _ = page.WriteTo(w)
}

// shown is a text as an operator can read it. One that hides what it says, by control
// characters, letters that turn the direction of writing, or bytes that are no text, is
// quoted; so is one with spaces at its ends.
func shown(value any) string {
	text, ok := value.(string)
	if !ok {
		return ""
	}
	if text == strings.TrimSpace(text) && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return text
	}
	return strconv.QuoteToGraphic(text)
}

// showTime is an instant in UTC; empty for none.
func showTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}
