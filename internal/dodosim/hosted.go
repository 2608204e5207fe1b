package dodosim

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

//go:embed hosted/page.html
var pageHTML string

//go:embed hosted/style.css
var pageStyle string

var pageTemplate = func() *template.Template {
	page := template.Must(template.New("page").Parse(pageHTML))
	template.Must(page.New("style").Parse(pageStyle))
	return page
}()

// pagePolicy lets the page have its own style and nothing else: no script, no frame
// around it, no request to anywhere. It says nothing about form-action on purpose:
// browsers apply that to redirects as well, and paying ends with one to the merchant.
var pagePolicy = func() string {
	hash := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; frame-ancestors 'none'"
}()

// maxForm bounds what the page's form may send.
const maxForm = 16 << 10

// pageView is what the page shows. A closed page has only title, problem and way back.
type pageView struct {
	Title, Problem      string
	Back                string // to the merchant, once there is something to tell or nothing left to do
	Open, Free          bool
	Lines               []lineView
	Discounts           []discountView
	Total               string
	Email, Name         string
	EditEmail, EditName bool
	AllowCode, Cancel   bool
	Cards               []cardView
}

type (
	lineView struct {
		Name, Description, Terms, Amount string
		Quantity                         int64
	}
	discountView struct{ Code, Share string }
	cardView     struct{ Number, Spaced, Label string }
)

// view describes a session to its customer. The caller holds s.mu.
func (s *Simulator) view(session *session) pageView {
	v := pageView{
		Title:     "Checkout",
		Total:     money(session.bill.total, session.bill.currency),
		Free:      !session.needsCard(),
		Email:     session.buyer.email,
		Name:      session.buyer.name,
		EditEmail: session.editEmail || session.buyer.email == "",
		EditName:  session.editName || session.buyer.name == "",
		AllowCode: session.allowCode,
		Cancel:    session.cancelURL != "",
		Back:      s.redirect(session),
	}
	for _, l := range session.bill.lines {
		v.Lines = append(v.Lines, lineView{
			Name:        l.product.Name,
			Description: l.product.Description,
			Terms:       session.terms.sentence(l),
			Amount:      money(l.full, session.bill.currency),
			Quantity:    l.quantity,
		})
	}
	for i, d := range session.bill.codes {
		v.Discounts = append(v.Discounts, discountView{d.Code, money(session.bill.cuts[i], session.bill.currency)})
	}
	_, recurring := session.bill.recurring()
	for _, c := range testCards {
		if c.label != "" && (recurring || c.later == "") {
			v.Cards = append(v.Cards, cardView{c.number, c.spaced(), c.label})
		}
	}
	refusal := session.usable(s.now())
	switch {
	case session.paid():
		v.Title = "Paid"
	case refusal != nil:
		v.Title, v.Problem = "Expired", "This checkout has expired. Go back to the shop and start again."
	default:
		v.Open = true
		if session.last != nil {
			v.Problem = text(session.last.ErrorMessage)
		}
	}
	if !v.Open && v.Back == "" {
		v.Back = cmp.Or(session.cancelURL, session.returnURL)
	}
	return v
}

// showPage answers GET /session/{id}.
func (s *Simulator) showPage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	session, refusal := s.findSession(r.PathValue("id"))
	if refusal != nil {
		s.mu.Unlock()
		writePage(w, http.StatusNotFound, notFoundPage)
		return
	}
	v, status := s.view(session), http.StatusOK
	if !v.Open && !session.paid() {
		status = http.StatusGone
	}
	s.mu.Unlock()
	writePage(w, status, v)
}

var notFoundPage = pageView{Title: "Not found", Problem: "There is no such checkout. The simulator forgets everything when it restarts."}

// submitPage answers POST /session/{id}, the page's one form. One URL for page and form
// keeps it working wherever the simulator is mounted.
func (s *Simulator) submitPage(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		writePage(w, http.StatusBadRequest, pageView{Title: "Checkout", Problem: "The form could not be read."})
		return
	}
	s.mu.Lock()
	session, refusal := s.findSession(r.PathValue("id"))
	if refusal != nil {
		s.mu.Unlock()
		writePage(w, http.StatusNotFound, notFoundPage)
		return
	}
	target, refusal := s.act(session, r)
	v := s.view(session)
	s.mu.Unlock()

	switch {
	case refusal != nil:
		v.Problem = sentence(refusal.Message)
		v.keepTyped(r)
		writePage(w, refusal.Status, v)
	case target == "":
		v.keepTyped(r)
		writePage(w, http.StatusOK, v)
	default:
		// Not http.Redirect: it would make our relative target absolute, and so lose the
		// prefix that the simulator may be mounted under.
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusSeeOther)
	}
}

// act does what the pressed button says and returns where to go: "" is this page again.
// The caller holds s.mu.
func (s *Simulator) act(session *session, r *http.Request) (string, *Error) {
	number, action, code := r.PostForm.Get("card"), r.PostForm.Get("action"), r.PostForm.Get("discount_code")
	if number == "" {
		number = r.PostForm.Get("number")
	} else {
		action = "pay" // a test card's own button
	}
	switch {
	case action == "cancel" && session.cancelURL != "":
		return session.cancelURL, nil // nothing happens: the session can still be paid
	case action == "discount", action == "pay" && code != "":
		// Whoever types a code and presses Enter, which browsers take for the first
		// button, gets to see the new total before paying it.
		return "", s.applyCode(session, code)
	case action == "pay":
		return s.payForm(session, number, r)
	}
	return "", refuse(codeInvalidParameters, "the form has no such button")
}

// payForm pays by what the customer typed. A success leads to the merchant at once,
// without the page in between that Dodo shows unless redirect_immediately is set; a
// decline leads back here, by a redirect so that reloading does not try again.
func (s *Simulator) payForm(session *session, number string, r *http.Request) (string, *Error) {
	if refusal := session.usable(s.now()); refusal != nil {
		return "", refusal
	}
	by := session.typed(r)
	switch {
	case !validEmail(by.email):
		return "", refuse(codeInvalidParameters, "please enter an e-mail address")
	case by.name == "" || len(by.name) > 200:
		return "", refuse(codeInvalidParameters, "please enter a name")
	}
	var with card
	if session.needsCard() {
		var refusal *Error
		if with, refusal = findCard(number); refusal != nil {
			return "", refusal
		}
	}
	p, refusal := s.pay(session, with, by)
	if refusal != nil {
		return "", refusal
	}
	if target := s.redirect(session); target != "" && p.Status == Succeeded {
		return target, nil
	}
	return session.id, nil // relative to /session/
}

// typed is the buyer by the form, as far as the merchant lets the customer say.
func (session *session) typed(r *http.Request) buyer {
	by := session.buyer
	if session.editEmail || by.email == "" {
		by.email = strings.TrimSpace(r.PostForm.Get("email"))
	}
	if session.editName || by.name == "" {
		by.name = strings.TrimSpace(r.PostForm.Get("name"))
	}
	return by
}

// applyCode adds a discount code to those that the session has.
func (s *Simulator) applyCode(session *session, code string) *Error {
	if refusal := session.usable(s.now()); refusal != nil {
		return refusal
	}
	if !session.allowCode {
		return refuse(codeInvalidDiscount, "this checkout takes no discount codes")
	}
	var codes []string
	for _, d := range session.bill.codes {
		codes = append(codes, d.Code)
	}
	discounts, refusal := s.findDiscounts(append(codes, code))
	if refusal != nil {
		return refusal
	}
	if session.terms.OnDemand != nil {
		return refuse(codeDiscountOnDemand, "discounts cannot be used on demand")
	}
	priced, refusal := s.price(session.cart, discounts, session.terms)
	if refusal != nil {
		return refusal
	}
	session.bill = priced
	return nil
}

// keepTyped shows the customer's own words again.
func (v *pageView) keepTyped(r *http.Request) {
	if v.EditEmail {
		v.Email = r.PostForm.Get("email")
	}
	if v.EditName {
		v.Name = r.PostForm.Get("name")
	}
}

// sentence makes a page's sentence of an API's message.
func sentence(message string) string {
	return strings.ToUpper(message[:1]) + message[1:] + "."
}

func writePage(w http.ResponseWriter, status int, v pageView) {
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, v); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", pagePolicy)
	header.Set("X-Frame-Options", "DENY")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}
