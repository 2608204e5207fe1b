package console

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// Root is the address of the first page. All others, [Pages], are below it.
const (
	Root  = "/dodo/"
	Pages = "/dodo/console/"
)

// Site is what the console shows and changes.
type Site struct {
	Accounts *gateway.Accounts
	Events   *gateway.Events
	Store    store.Client
	// Passes are the passes over Dodo's lists, the newest first.
	Passes []Pass
	// By is the identity that the admin API has verified; empty for none.
	By string
	// Redriven counts what stays parked, by reason, after everything was tried again.
	Redriven func(parked map[string]int)
}

// Pass is a pass over Dodo's lists.
type Pass struct {
	Kind, State, Error  string
	BeganAt, EndedAt    time.Time // zero: not yet
	Seen, Read, Applied int
}

// Console serves the pages. It may be used by many goroutines at once.
type Console struct {
	token  string // that a form of ours has
	origin *http.CrossOriginProtection
}

// New makes a console. Its forms are good for as long as it is there.
func New() *Console {
	return &Console{token: rand.Text(), origin: http.NewCrossOriginProtection()}
}

// request is a request for a page.
type request struct {
	*http.Request
	Site
	input url.Values // of the query or the form, each field once
}

// view is a page that can be rendered.
type view struct {
	Status int // 200 when zero
	Title  string
	Token  string // of its forms
	page   string // the template
	Data   any
}

// route is a page: by which method it is asked for, and which fields it takes.
type route struct {
	method string
	fields []string
	serve  func(*request) (view, error)
}

const fieldToken = "token"

// routeOf is the page at a path.
func routeOf(path string) (route, bool) {
	r, ok := map[string]route{
		Root:               {http.MethodGet, nil, showOverview},
		Pages + "find":     {http.MethodPost, []string{"q", fieldToken}, find}, // an address stays out of the log
		Pages + "account":  {http.MethodGet, []string{"id", "before"}, showAccount},
		Pages + "sales":    {http.MethodGet, []string{"days"}, showSales},
		Pages + "accounts": {http.MethodGet, []string{"after"}, listAccounts},
		Pages + "parked":   {http.MethodGet, []string{"after"}, listParked},
		Pages + "event":    {http.MethodGet, []string{"id"}, showEvent},
		Pages + "redrive":  {http.MethodPost, []string{"id", fieldToken}, redrive},
		Pages + "assign":   {http.MethodPost, []string{"what", "account", "reason", fieldToken}, assign},
		Pages + "dismiss":  {http.MethodPost, []string{"id", "reason", fieldToken}, dismiss},
	}[path]
	return r, ok
}

// Serve answers a request for a page of the console.
func (c *Console) Serve(w http.ResponseWriter, r *http.Request, site Site) {
	v, err := c.page(w, r, site)
	if err != nil {
		v = problem(err)
	}
	v.Token = c.token
	write(w, v)
}

func (c *Console) page(w http.ResponseWriter, r *http.Request, site Site) (view, error) {
	route, ok := routeOf(r.URL.Path)
	switch {
	case !ok:
		return view{}, errNoPage
	case r.Method != route.method && (r.Method != http.MethodHead || route.method != http.MethodGet):
		w.Header().Set("Allow", route.method)
		return view{}, errMethod
	}
	if err := c.check(r); err != nil {
		return view{}, err
	}
	input, err := readInput(w, r, route)
	if err != nil {
		return view{}, err
	}
	if route.method == http.MethodPost && subtle.ConstantTimeCompare([]byte(input.Get(fieldToken)), []byte(c.token)) != 1 {
		return view{}, errToken
	}
	return route.serve(&request{Request: r, Site: site, input: input})
}

// check refuses what another site sends. A page of another site cannot read ours, but it
// could have a browser ask for one over and over.
func (c *Console) check(r *http.Request) error {
	if err := c.origin.Check(r); err != nil {
		return errOrigin
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return nil
	default:
		return errOrigin
	}
}

const maxForm = 8 << 10

// readInput reads the fields of the query of a GET, or of the form of a POST.
func readInput(w http.ResponseWriter, r *http.Request, route route) (url.Values, error) {
	input, err := url.ParseQuery(r.URL.RawQuery)
	if route.method == http.MethodPost {
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
			return nil, fmt.Errorf("%w: a form is wanted", errInput)
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		r.URL.RawQuery = "" // what it says does not count
		err = r.ParseForm()
		input = r.PostForm
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be read", errInput)
	}
	known := make(map[string]bool, len(route.fields))
	for _, name := range route.fields {
		known[name] = true
	}
	for name, values := range input {
		if !known[name] || len(values) > 1 {
			return nil, fmt.Errorf("%w: a field is not known, or there twice", errInput)
		}
	}
	return input, nil
}

var (
	errNoPage = errors.New("there is no such page")
	errMethod = errors.New("this page is not asked for in this way")
	errOrigin = errors.New("another site sent this request")
	errToken  = errors.New("the form is out of date, because the server was started again: go back, load the page again, and repeat it")
	errInput  = errors.New("the request is not valid")
)

// problem is the page of an error.
func problem(err error) view {
	v := view{Status: http.StatusInternalServerError, Title: "This did not work", page: "problem.html", Data: err.Error()}
	for _, row := range []struct {
		sentinel error
		status   int
		title    string
	}{
		{errNoPage, http.StatusNotFound, "No such page"},
		{errMethod, http.StatusMethodNotAllowed, "No such page"},
		{errOrigin, http.StatusForbidden, "Refused"},
		{errToken, http.StatusForbidden, "Refused"},
		{errInput, http.StatusBadRequest, "This request is not valid"},
		{book.ErrActInput, http.StatusBadRequest, "This request is not valid"},
		{book.ErrAct, http.StatusConflict, "It cannot be done"},
		{gateway.ErrAccount, http.StatusBadRequest, "This request is not valid"},
		{gateway.ErrSales, http.StatusBadRequest, "Sales cannot be shown"},
		{gateway.ErrAssign, http.StatusConflict, "It cannot be assigned"},
		{gateway.ErrNotParked, http.StatusConflict, "It is not parked"},
		{store.ErrNotFound, http.StatusNotFound, "Not found"},
		{store.ErrDamaged, http.StatusInternalServerError, "Records are damaged"},
		{store.ErrNotDurable, http.StatusServiceUnavailable, "Too few replicas have confirmed the change. Try again"},
		{store.ErrUnavailable, http.StatusServiceUnavailable, "The store does not answer"},
	} {
		if errors.Is(err, row.sentinel) {
			v.Status, v.Title = row.status, row.title
			break
		}
	}
	return v
}
