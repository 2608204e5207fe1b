package httpapi

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
)

// The pages are plain HTML with one inline style sheet: no script, and nothing that a
// browser has to fetch.

var (
	//go:embed pages/*.html
	pageFiles embed.FS
	//go:embed pages/style.css
	style string

	pages = template.Must(template.New("").
		Funcs(template.FuncMap{"style": func() template.CSS { return template.CSS(style) }}). //nolint:gosec // our own file
		ParseFS(pageFiles, "pages/*.html"))

	// The address of a page without forms may contain an order's id, which must not leak.
	plainPolicy = policy{content: contentPolicy(style, "'none'"), referrer: "no-referrer"}
	// Our forms redirect to Dodo's checkout, and Chrome requires the policy to allow that
	// too. Without a referrer the form's Origin would be "null", as if another site had
	// sent it.
	formPolicy = policy{content: contentPolicy(style, "http: https:"), referrer: "same-origin"}
)

// policy are the security headers of a page.
type policy struct{ content, referrer string }

// contentPolicy allows the style sheet, by its hash, and forms to formAction.
func contentPolicy(style, formAction string) string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action " + formAction + "; frame-ancestors 'none'"
}

// refresh is an automatic redirect of a page.
type refresh struct {
	Seconds int
	URL     string
}

// problemPage is the data of pages/problem.html.
type problemPage struct {
	Title, Detail, Code, Home string
	Again                     bool     // reloading the page may help
	SignIn                    string   // where to sign in; empty: no link
	Refresh                   *refresh // always nil; the template's head needs the field
}

// writePage writes a page without forms.
func writePage(w http.ResponseWriter, status int, name string, data any) {
	writePageOf(w, status, name, data, plainPolicy)
}

// writePageOf renders a page completely before it sends any of it.
func writePageOf(w http.ResponseWriter, status int, name string, data any, p policy) {
	var page bytes.Buffer
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, http.StatusText(status), status)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.content)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", p.referrer)
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
}
