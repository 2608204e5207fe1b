package httpapi

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
)

// The pages are plain HTML with one style sheet inside: no script, and nothing
// that a browser would have to fetch from anywhere.

var (
	//go:embed pages/*.html
	pageFiles embed.FS
	//go:embed pages/style.css
	style string

	pages = template.Must(template.New("").
		Funcs(template.FuncMap{"style": func() template.CSS { return template.CSS(style) }}). //nolint:gosec // our own file
		ParseFS(pageFiles, "pages/*.html"))

	pagePolicy = contentPolicy(style)
)

// contentPolicy allows the style sheet, by its hash, and nothing else.
func contentPolicy(style string) string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// refresh is where a page goes by itself, and when.
type refresh struct {
	Seconds int
	URL     string
}

// problemPage is the data of pages/problem.html.
type problemPage struct {
	Title, Detail, Code string
	Again               bool     // loading the page again may help
	Refresh             *refresh // none, but the head asks
}

// writePage renders a page completely before it sends any of it.
func writePage(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, http.StatusText(status), status)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer") // addresses here name orders
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
}
