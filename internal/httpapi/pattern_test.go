package httpapi_test

import (
	"bufio"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/testing/pathreaders"
)

func patterns(t testing.TB, texts ...string) []httpapi.PathPattern {
	t.Helper()
	var ps []httpapi.PathPattern
	for _, text := range texts {
		p, err := httpapi.NewPathPattern(text)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

// arriving is a request as the server reads it; nil when it refuses.
func arriving(target string) *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: shop.example\r\n\r\n")))
	if err != nil {
		return nil
	}
	return r
}

func TestPathPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		yes, no []string
	}{
		{
			"/paid/*",
			[]string{
				"/paid", "/paid/", "/paid/x", "/PAID/x", "//paid/x", "/./paid/x", "/x/../paid/x", "/paid/../x", "/paid//x", "/p%61id/x", "/paid%2fx", "/%70%61%69%64",
				"/x/%2e%2e/paid/x", "/x%2f..%2fpaid/x", "/x/..%2fpaid/x", "/paid;v=1/x", "/paid;/x", "/;/paid/x", "/x/..;/paid/x", "/paid%3bx/y", "/%2570aid/x", "/%252e%252e/paid/x",
				`/paid\x`, "/paid%5cx", "///evil.example/paid", "/x/..%5cpaid/x", "/paid%00", "/paid%00.txt", "/paid%3fx", "/paid%23", "/paid./x", "/paid%20/x", "/p%0aaid/x", "/paid%2e/x",
				"http://evil.example/paid/x", "HTTP://evil.example/paid", "http:paid/x", "//evil.example/paid/x", `/\evil.example/paid/x`, "/%2fevil.example/paid/x",
				"/x%c0%af../paid/x", "/%c0%ae%c0%ae/paid/x", "/paid?x", "/paid%2f%2e%2e%2fx", "/x%2fy/%2e%2e/paid/z", "/index.php/paid/x", "/app/Index.PHP/paid", "/index.cfm/paid", "/Default.aspx/paid/x",
				"/x/" + strings.Repeat("%25", 40000), "/" + strings.Repeat("%2f..;%5c.%00/%20%23", 400),
			},
			[]string{
				"/", "/x", "/paidx", "/paid-x", "/xpaid", "/x/paid", "/pai", "/x?/paid/x", "/%25", "/100%25/x", "/a%20b", "/caf%c3%a9", "/a+b,c@d:e", "/x/../y", "/.well-known/x",
				"/paid.html", "/x.php", "/x.php/y", "*", "/img/https%3A%2F%2Fx.example%2Fa%20b.png", "/" + strings.Repeat("long/", 400), "/x;v=1/y", "//x/y",
			},
		},
		{"/api/generate", []string{"/api/generate", "/api/generate/", "/api//generate//", "/API/Generate", "/api/generate;x", "/api/generate;x/y", "/api/x/../generate", "/api/generate/%2e"}, []string{"/api", "/api/generate/x", "/api/generates"}},
		{"/api/generate/", []string{"/api/generate"}, []string{"/api"}},
		{"/report.php", []string{"/report.php", "/report.php/x", "/report.PHP/x/y", "/report.php%2fx"}, []string{"/report.phpx", "/report", "/x/report.php"}},
		{"/report.aspx", []string{"/report.aspx/x", "/Report.ASPX%2fx/y"}, []string{"/report.aspxx", "/x/report.aspx"}},
		{"*.mp4", []string{"/a.mp4", "/x/A.MP4", "/a.mp4/", "/a.mp4;x", "/a.mp4%00.txt", "/a.mp4%20", "/a.mp4.", "/a.mp%34"}, []string{"/a.mp3", "/a.mp4x", "/a.mp4/x"}},
		{"/u/*/big", []string{"/u/a/big", "/u/%61/BIG/", "/u/a/./big", "/u//a/big"}, []string{"/u/big", "/u/a/b/big", "/u/a/big/x"}},
		{"/u/*/big/*", []string{"/u/a/big", "/u/a/big/x/y"}, []string{"/u/a/bigger", "/u/big/x"}},
		{"/v*", []string{"/v", "/v1/x", "/V2"}, []string{"/", "/x/v"}},
		{"/*", []string{"/", "/x", "//"}, nil},
		{"*", []string{"/", "/x", "*"}, nil},
		{"/", []string{"/", "//", "/.", "/x/.."}, []string{"/x"}},
		{"/schön/*", []string{"/sch%C3%B6n/x", "/SCH%C3%96N", "/sch%c3%b6n"}, []string{"/schon"}},
	} {
		ps := patterns(t, tt.pattern)
		for _, list := range []struct {
			want  bool
			paths []string
		}{{true, tt.yes}, {false, tt.no}} {
			for _, p := range list.paths {
				r := arriving(p)
				if r == nil {
					t.Errorf("%.80q is not a request", p)
				} else if got := httpapi.MatchPath(ps, r); got != list.want {
					t.Errorf("%s matches %.80q: %v", tt.pattern, p, got)
				}
			}
		}
	}
}

// An app may believe a header instead of the path.
func TestPathInHeader(t *testing.T) {
	ps := patterns(t, "/paid/*")
	for _, tt := range []struct {
		name, value string
		want        bool
	}{
		{"X-Original-URL", "/paid/x", true},
		{"X-Rewrite-URL", "/PAID/x", true},
		{"X-Original-URL", "http://shop.example/paid/x?y", true},
		{"X-Original-URL", "/x/..%2fpaid", true},
		{"X-Original-URL", "/x?/paid/x", false},
		{"X-Other-URL", "/paid/x", false},
	} {
		r := arriving("/")
		r.Header.Set(tt.name, tt.value)
		if got := httpapi.MatchPath(ps, r); got != tt.want {
			t.Errorf("%s: %s: %v", tt.name, tt.value, got)
		}
	}
}

func TestPathPatternRefused(t *testing.T) {
	for _, text := range []string{"", "paid", "/a b", "/a%20b", "/{x}", "/a?b", "/a#b", `/a\b`, "/a;b", "/[ab]", "/a//b", "/a/../b", "/./a", "//x", "*a*", "*/a/*", "/a\n"} {
		if p, err := httpapi.NewPathPattern(text); err == nil {
			t.Errorf("%q is accepted as %+v", text, p)
		}
	}
}

// pieces is what tricky paths are made of.
var pieces = []string{
	"/", "/", "/", "//", "paid", "paid", "PAID", "p%61id", "%70aid", "x", "y", "..", "..", ".", "%2e", "%2E%2e", ".%2e", "%2f", "%2F", "%5c", `\`, ";", ";v=1", "..;", "%3b",
	"%00", "%20", "%09", "%0a", "%0d", "%3f", "%23", "?", "%25", "%252f", "%252e", "%2570", "%255c", "http://x.example", ":", "@", ".php", "/index.php", "/default.aspx", "/Index.cfm", ".", " ", "%c0%af", "%c0%ae", "%c3%a9", "%7f", "*",
	"report", "report", "rep%6frt", "/report/index.html", "/index.htm", "index.php", ".html", ".gz", ".br", "%e0%80%af", "/%70aid/", "/report",
}

func randomTarget(dice *rand.Rand) string {
	var b strings.Builder
	if dice.IntN(10) > 0 {
		b.WriteByte('/')
	}
	for range 1 + dice.IntN(8) {
		b.WriteString(pieces[dice.IntN(len(pieces))])
	}
	return b.String()
}

// TestReadersThatWalkedPast are targets that once got past the gate.
func TestReadersThatWalkedPast(t *testing.T) {
	ps := patterns(t, "/paid/*")
	for _, target := range []string{
		"/..;%c0%af%c0%ae.%2e%2fpaid/@",
		`//%0dx%2fx\PAID`, `//index.php%5c%c3%a9%255c\PAID/index.php;`, "//index.phpp%61id%2F%25@%3b\\paid",
	} {
		if reader, yes := pathreaders.Paid(target); !yes {
			t.Errorf("nobody serves %q", target)
		} else if !httpapi.MatchPath(ps, arriving(target)) {
			t.Errorf("%s serves %q", reader, target)
		}
	}
}

// assertGated fails if some app serves what is gated by one of two addresses, the one
// that arrived and the one that it was rewritten to, but no gate stands before it. It
// reports whether some app does.
func assertGated(t *testing.T, original, now string) (served bool) {
	t.Helper()
	arrived, current := arriving(original), arriving(now)
	if arrived == nil || current == nil || arrived.RequestURI != original || current.RequestURI != now {
		return false
	}
	for _, target := range []string{original, now} {
		reading, kept := rewritten(arrived, current)
		if reader, yes := pathreaders.Paid(target); yes {
			if served = true; !reading.Matches(patterns(t, "/paid/*", "/paid.php")) {
				t.Errorf("%s serves %q of %q, rewritten to %q", reader, target, original, now)
			}
		}
		if reader, yes := pathreaders.Report(target); yes {
			if served = true; !reading.Matches(patterns(t, "/report")) {
				t.Errorf("%s serves the report for %q of %q, rewritten to %q", reader, target, original, now)
			}
		}
		if kept.Work() > httpapi.MaxWork {
			t.Errorf("%d bytes are looked at for %q, rewritten to %q", kept.Work(), original, now)
		}
	}
	return served
}

// Whatever is thrown at it, the gate stands where any app serves what is gated.
func TestNoReaderWalksPast(t *testing.T) {
	seed := rand.Uint64()
	dice := rand.New(rand.NewPCG(seed, 1))
	served := 0
	for range 15_000 {
		original, now := randomTarget(dice), randomTarget(dice)
		switch dice.IntN(3) {
		case 0:
			now = "/index.php"
		case 1:
			now = original
		}
		if assertGated(t, original, now) {
			served++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if served < 300 {
		t.Errorf("only %d were served by any app", served)
	}
}

func FuzzPathPattern(f *testing.F) {
	for _, seed := range []string{
		"/paid/x", "/x/..%2fpaid", "//h/paid", `/x\..\paid`, "/x/..;/paid", "/%2570aid", "http:paid", "/report/index.html", "/report.html.gz", "/index.php/report", "/rep%c0%afort",
	} {
		f.Add(seed, "/index.php")
		f.Add("/index.php", seed)
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, original, now string) { assertGated(t, original, now) })
}

func BenchmarkMatchPath(b *testing.B) {
	ps := patterns(b, "/paid/*")
	for name, p := range map[string]string{
		"plain": "/app/assets/index-4f2a.js", "encoded": "/a%20b/c", "hostile": "/" + strings.Repeat("%2f..;%5c.%00/%20%23", 100),
	} {
		u, err := url.ParseRequestURI(p)
		if err != nil {
			b.Fatal(err)
		}
		r := &http.Request{URL: u, Header: http.Header{
			"Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "Accept-Language": {"de"}, "Cookie": {"a=b"}, "Referer": {"https://x.example/"}, "User-Agent": {"x"},
			"Sec-Fetch-Site": {"none"}, "Sec-Fetch-Mode": {"navigate"}, "X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"},
		}}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				httpapi.MatchPath(ps, r)
			}
		})
	}
}
