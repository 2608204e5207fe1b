package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// screenshots is where the pages that the browser saw are kept; git ignores it.
const screenshots = "../../artifacts/browser"

// startChromium starts one browser for all tabs of a test, or skips the test where there
// is none. Where changes are judged (CI=true) there has to be one.
func startChromium(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		// Some systems have a program of that name that only says what to install.
		if exec.CommandContext(t.Context(), name, "--version").Run() == nil {
			path = name
			break
		}
	}
	if path == "" {
		missing := "Chromium is missing, and with it the test of what customers click on: run .ci/deps, or install it"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	// Chromium's sandbox does not work for root, and in most containers not for other users
	// either. The browser opens only pages of this test, which need none.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	chromium, stop := chromedp.NewContext(allocator)
	t.Cleanup(stop)
	if err := chromedp.Do(chromium); err != nil {
		t.Fatal(err)
	}
	if err := emptyScreenshots(); err != nil {
		t.Fatal(err)
	}
	return chromium
}

// emptyScreenshots removes the pictures of an earlier run, once.
var emptyScreenshots = sync.OnceValue(func() error {
	if err := os.RemoveAll(screenshots); err != nil {
		return err
	}
	return os.MkdirAll(screenshots, 0o755)
})

// tab is a browser window of a new customer, with cookies of its own.
type tab struct {
	t     *testing.T
	ctx   context.Context
	d     *demo
	shots int

	mu       sync.Mutex
	requests []*network.EventRequestWillBeSent
	errors   []string // what the browser refused to do, and mistakes in scripts
}

func (d *demo) tab(t *testing.T, chromium context.Context) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, d: d}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, cdplog.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	b.do(atDesk)
	return b
}

func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, event)
	case *cdplog.EventEntryAdded:
		if event.Entry.Source != cdplog.EntrySourceNetwork { // a status such as 402 is no fault
			b.errors = append(b.errors, event.Entry.Text)
		}
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.fail(err)
	}
}

// fail ends the test with all that helps to see why.
func (b *tab) fail(err error) {
	b.t.Helper()
	b.keep("failed")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 10*time.Second)
	defer cancel()
	html, _ := chromedp.Run(ctx, chromedp.OuterHTML(chromedp.CSS("html")))
	b.t.Fatalf("%v\nthe page:\n%s\nthe demo said:\n%s", err, html, b.d.said())
}

// goTo opens a page and waits for a part of it.
func (b *tab) goTo(address string, wanted chromedp.CSS) {
	b.t.Helper()
	b.do(chromedp.Navigate(address), chromedp.WaitVisible(wanted))
}

// then does something that leads to another page, and waits for a part of that.
func (b *tab) then(step chromedp.Action[chromedp.Void], wanted chromedp.CSS) {
	b.t.Helper()
	b.is("document.documentElement.dataset.old = 'yes'")
	b.do(step, chromedp.WaitVisible("html:not([data-old]) "+wanted))
}

// click clicks on a part of the page that leads to another one.
func (b *tab) click(part, wanted chromedp.CSS) {
	b.t.Helper()
	b.then(chromedp.Click(part), wanted)
}

// choose clicks on a part of the page that leads nowhere.
func (b *tab) choose(part chromedp.CSS) {
	b.t.Helper()
	b.do(chromedp.Click(part))
}

// write types into a field.
func (b *tab) write(field chromedp.CSS, words string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(field, words))
}

// says fails the test unless a part of the page contains the words.
func (b *tab) says(part chromedp.CSS, words string) {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Text(part))
	if err != nil {
		b.fail(err)
	}
	if !strings.Contains(got, words) {
		b.t.Errorf("%s says %q, not %q", part, got, words)
	}
}

// is evaluates an expression of JavaScript in the page.
func (b *tab) is(expression string) string {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[any](expression))
	if err != nil {
		b.fail(err)
	}
	return fmt.Sprint(got)
}

// keep takes a picture of the whole page.
func (b *tab) keep(name string) {
	b.t.Helper()
	b.shots++
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 20*time.Second)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Errorf("picture of %s: %v", name, err)
		return
	}
	story := strings.ReplaceAll(strings.TrimPrefix(b.t.Name(), "TestBrowser/"), "/", "-")
	file := filepath.Join(screenshots, fmt.Sprintf("%s-%02d-%s.png", story, b.shots, name))
	if err := os.WriteFile(file, picture, 0o644); err != nil {
		b.t.Error(err)
	}
}

var (
	atDesk  = chromedp.EmulateViewport(1000, 800)
	onPhone = chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile)
)

// What is wrong with a page for those who hear it: each a number of things without a name.
var unnamed = map[string]string{
	"fields":   "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')].filter(e => !e.labels.length).length",
	"buttons":  "[...document.querySelectorAll('button, a')].filter(e => !e.textContent.trim()).length",
	"headings": "Math.abs(document.querySelectorAll('h1').length - 1)",
	"pages":    "document.title && document.documentElement.lang ? 0 : 1",
}

// keepAll takes pictures at a desk by day and on a phone by night, and makes sure that
// nobody has to scroll sideways or to guess what a field is for.
func (b *tab) keepAll(name string) {
	b.t.Helper()
	for what, count := range unnamed {
		if got := b.is(count); got != "0" {
			b.t.Errorf("%s: %s %s without a name", name, got, what)
		}
	}
	b.keep(name)
	b.do(onPhone, scheme("dark"))
	if got := b.is("document.documentElement.scrollWidth"); got != "360" {
		b.t.Errorf("%s is %s wide on a phone of 360", name, got)
	}
	b.keep(name + "-phone-dark")
	b.do(atDesk, scheme("light"))
}

// scheme is the colours that the customer likes.
func scheme(colours string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}},
		})
		return err
	})
}

// staysAtHome fails the test if a page of the tab asked another origin for anything, or
// tried what its policy forbids.
func (b *tab) staysAtHome() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) == 0 {
		b.t.Error("no request was seen")
	}
	for _, request := range b.requests {
		to, page := origin(b.t, request.Request.URL), origin(b.t, request.DocumentURL)
		switch {
		case to != b.d.site && to != b.d.simulator:
			b.t.Errorf("%s asks for %s", request.DocumentURL, request.Request.URL)
		case request.Type != network.ResourceTypeDocument && to != page:
			b.t.Errorf("%s asks another origin for %s", request.DocumentURL, request.Request.URL)
		}
	}
	for _, what := range b.errors {
		b.t.Error("the browser complains:", what)
	}
}

func origin(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Scheme + "://" + u.Host
}
