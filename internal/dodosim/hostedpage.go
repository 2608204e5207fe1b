package dodosim

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

//go:embed hosted/*.html
var pageFiles embed.FS

//go:embed hosted/style.css
var pageStyle string

// The pages, by the names of their templates.
const (
	checkoutPage = "checkout"
	portalPage   = "portal"
)

var pages = func() *template.Template {
	all := template.Must(template.New("pages").ParseFS(pageFiles, "hosted/*.html"))
	template.Must(all.New("style").Parse(pageStyle))
	return all
}()

// pagePolicy allows only a page's own style: no script, no frame around it, no other request.
// It leaves out form-action deliberately: browsers apply that to redirects as well, and paying
// ends with a redirect to the merchant.
var pagePolicy = func() string {
	hash := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; frame-ancestors 'none'"
}()

// portalPolicy also restricts forms to the simulator: nothing in the portal leads elsewhere.
var portalPolicy = pagePolicy + "; form-action 'self'"

func writePage(w http.ResponseWriter, status int, name string, view any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, view); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", pagePolicy)
	if name == portalPage {
		header.Set("Content-Security-Policy", portalPolicy)
	}
	header.Set("X-Frame-Options", "DENY")
	header.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: that makes browsers hide the origin of the page's own form, too.
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// fromItself serves a page's form, but refuses one that another site submits for the customer.
func fromItself(form http.HandlerFunc) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writePage(w, http.StatusForbidden, checkoutPage, problemOnlyView("Not allowed", "This form was sent by another site."))
	}))
	return protection.Handler(form)
}

// readForm reads a page's form, or answers with an error.
func readForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		writePage(w, http.StatusBadRequest, checkoutPage, problemOnlyView("Not understood", "The form could not be read."))
		return false
	}
	return true
}

// seeOther redirects the browser. It does not use http.Redirect, which would make a relative
// target absolute, and so lose the prefix under which the simulator may be mounted.
func seeOther(w http.ResponseWriter, target string) {
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
}

// sentence turns an API's message into a sentence for a page.
func sentence(message string) string {
	return strings.ToUpper(message[:1]) + message[1:] + "."
}
