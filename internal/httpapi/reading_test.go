package httpapi_test

import (
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/httpapi"
)

// rewritten is the reading of a request that arrived for one address and was
// rewritten to another, with what is kept for it.
func rewritten(original, now *http.Request) (httpapi.Reading, *httpapi.Spellings) {
	kept := new(httpapi.Spellings)
	return httpapi.NewReading(now, original.URL, func(*http.Request) *httpapi.Spellings { return kept }), kept
}

// Either path is enough, and a gate that stands before neither lets pass.
func TestReadingOfRewritten(t *testing.T) {
	for _, tt := range []struct {
		original, now string
		want          bool
	}{
		{"/paid/x", "/index.php", true}, {"/PAID/x", "/index.html", true}, {"/paid%2fx", "/index.php", true}, {"/x/..;/paid/x", "/index.php", true},
		{"/x", "/paid/x", true}, {"/x", "/paid%2fx", true}, {"/shop/paid/x", "/paid/x", true}, {"/%70aid", "/x", true},
		{"/x", "/index.php", false}, {"/x%20y", "/index.php", false}, {"/paidx", "/x", false},
	} {
		reading, _ := rewritten(arriving(tt.original), arriving(tt.now))
		if got := reading.Matches(patterns(t, "/paid/*")); got != tt.want {
			t.Errorf("%s rewritten to %s: %v", tt.original, tt.now, got)
		}
	}
}

// What a later rewriting brings is added, and what was there before stays.
func TestReadingFollowsRewriting(t *testing.T) {
	ps := patterns(t, "/paid/*")
	r := arriving("/x%20y")
	original := *r.URL
	kept := new(httpapi.Spellings)
	ask := func() bool {
		return httpapi.NewReading(r, &original, func(*http.Request) *httpapi.Spellings { return kept }).Matches(ps)
	}
	for _, step := range []struct {
		path string
		want bool
	}{{"/x y", false}, {"/x/../paid/y", true}, {"/z z", true}} {
		r.URL = &url.URL{Path: step.path}
		if got := ask(); got != step.want {
			t.Errorf("at %s: %v", step.path, got)
		}
	}
	r = arriving("/x")
	original, kept = *r.URL, new(httpapi.Spellings)
	for _, step := range []struct {
		value string
		want  bool
	}{{"/y", false}, {"/paid/y", true}} {
		r.Header.Set("X-Original-URL", step.value)
		if got := ask(); got != step.want {
			t.Errorf("with %s: %v", step.value, got)
		}
	}
}

func TestRoutingHeaders(t *testing.T) {
	for _, tt := range []struct {
		path   string
		header http.Header
		want   bool
	}{
		{"/", http.Header{"X_original_url": {"/paid/x"}}, true},
		{"/", http.Header{"X.Original.Url": {"/paid/x"}}, true},
		{"/", http.Header{"X-Original-Uri": {"/x/..%2fpaid"}}, true},
		{"/", http.Header{"X-Rewrite-Url": {"https://shop.example/Paid/x?y"}}, true},
		{"/", http.Header{"X-Forwarded-Uri": {"/paid"}}, true},
		{"/", http.Header{"X-Ms-Original-Url": {"https://shop.example/paid"}}, true},
		{"/", http.Header{"X-Matched-Path": {"/paid"}}, true},
		// Two lines, or two names that some app takes for one: it may take either.
		{"/", http.Header{"X-Original-Url": {"/a", "/b"}}, true},
		{"/", http.Header{"X-Original-Url": {"/a"}, "X_original_url": {"/b"}}, true},
		{"/", http.Header{"X-Original-Url": {"/a"}, "X-Rewrite-Url": {"/b"}}, false},
		// An app cuts off where it is mounted, or puts it in front.
		{"/free/paid/x", http.Header{"X-Script-Name": {"/free"}}, true},
		{"/free/p%61id/x", http.Header{"X-Script-Name": {"/free/"}}, true},
		{"/free/paid/x", http.Header{"Script_name": {"/free"}}, true},
		{"/free/paid/x", http.Header{"X-Forwarded-Prefix": {"/fr, ee"}}, true},
		{"/x", http.Header{"X-Forwarded-Prefix": {"/paid"}}, true},
		{"/x", http.Header{"X-Forwarded-Prefix": {"/shop"}}, false},
		{"/shop/x", http.Header{"X-Forwarded-Prefix": {"/shop"}}, false},
		{"/free/paid/x", http.Header{"X-Script-Name": {""}}, false},
		{"/", http.Header{"Referer": {"/paid"}, "X-Page-Url": {"/paid"}, "X-Forwarded-For": {"/paid", "/paid"}, "-": {"/paid"}}, false},
	} {
		r := arriving(tt.path)
		r.Header = tt.header
		if got := httpapi.MatchPath(patterns(t, "/paid/*"), r); got != tt.want {
			t.Errorf("%s with %v: %v", tt.path, tt.header, got)
		}
		reading, kept := rewritten(r, r)
		kept.TrustHeaders()
		if reading.Matches(patterns(t, "/paid/*")) {
			t.Errorf("%s with trusted %v matches", tt.path, tt.header)
		}
		httpapi.RemoveRoutingHeaders(r.Header)
		if httpapi.MatchPath(patterns(t, "/paid/*"), r) {
			t.Errorf("%s matches without its routing headers: %v", tt.path, r.Header)
		}
	}
}

// One file has several paths, and a gate before one of them stands before all.
func TestIndexFilesAndSidecars(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		yes, no []string
	}{
		{
			"/report",
			[]string{
				"/report/index.html", "/report/index.php", "/report/INDEX.HTM", "/report/default.aspx", "/report/iisstart.htm", "/report/index.html.gz", "/report/index.de.html",
				"/report/index.html.en", "/report/index", "/report/index.php/", "/report/%69ndex.html", "/report/x/../index.html", "/report.gz", "/report.br", "/report.zst", "/report.html",
				"/report.htm", "/report.html.gz", "/report/index.html%00", "/report/index.jsp;x", "/report//index.txt", "/report/index.html/index.php",
			},
			[]string{"/report/x.html", "/report/index.js", "/report/default", "/report/indexes.html", "/report/index-2.html", "/report.gzip", "/report.json", "/x/index.html", "/report.mp4.gz"},
		},
		{"/report/index.html", []string{"/report/", "/report", "/report/index.html", "/report/index.php", "/report/index.html.br"}, []string{"/", "/report/x"}},
		{"/report.html", []string{"/report", "/report.html", "/report.htm", "/report/", "/report.html.gz"}, []string{"/report.php", "/report/x"}},
		{"/index.html", []string{"/", "/index.html", "/index.php", "/index.html.gz", "//"}, []string{"/x", "/x/"}},
		{"/backup.tar.gz", []string{"/backup.tar.gz", "/backup.tar"}, []string{"/backup"}},
		{"*.mp4", []string{"/v.mp4.gz", "/v.mp4.br", "/v.MP4.zst", "/v.mp4%2ezst", "/v.mp4.gz.br"}, []string{"/v.gz", "/mp4.gz"}},
		{"*.tar.gz", []string{"/x.tar", "/x.tar.gz"}, []string{"/x.gz", "/"}},
		{"*.html", []string{"/", "/docs/", "/docs/x.html", "/docs/./"}, []string{"/docs", "/docs/x.php"}},
		{"*.php", []string{"/", "/docs/", "/x.php/y"}, []string{"/docs"}},
		{"*.json", []string{"/x.json"}, []string{"/", "/docs/"}},
		{"*/report/index.html", []string{"/x/report/", "/report/index.htm"}, []string{"/x/", "/x/report"}},
		{"/report/index*", []string{"/report/", "/report", "/report/index.js", "/report/indexes"}, []string{"/report/x", "/"}},
		{"/u/*/index.html", []string{"/u/a/", "/u/a", "/u/a/index.php", "/u/a/index.html"}, []string{"/u/", "/u/a/b/"}},
		{"/u/*/report", []string{"/u/a/report.html", "/u/a/report/index.html", "/u/a/report.gz"}, []string{"/u/a/report.json"}},
		{"/u/*/index.*", []string{"/u/a/", "/u/a/index.css"}, []string{"/u/"}},
		{"/a*b*c/d", []string{"/abc/d", "/axbycc/d", "/abc/d/"}, []string{"/ab/d", "/axb/c/d", "/abcx/d"}},
	} {
		ps := patterns(t, tt.pattern)
		for _, p := range tt.yes {
			if !httpapi.MatchPath(ps, arriving(p)) {
				t.Errorf("%s does not match %s", tt.pattern, p)
			}
		}
		for _, p := range tt.no {
			if httpapi.MatchPath(ps, arriving(p)) {
				t.Errorf("%s matches %s", tt.pattern, p)
			}
		}
	}
}

// hostileRequests need as much work as a request of 16 KiB can.
func hostileRequests() map[string]*http.Request {
	const size = 16 << 10
	fill := func(piece string) string { return strings.Repeat(piece, size/len(piece)+1)[:size] }
	all := map[string]*http.Request{}
	for _, piece := range []string{
		`x%25252f;a\..%20/`, "%25", "%2f..;%5c.%00/%20%23", "%c3%a9", "%c5%bf%25c5%25bf", "a.php/", "/../", ";/", ". /", "%2525252525", "/a%20.php/;b%5c..", "index.html.gz/", "%c0%af%e0%80%af", "a/", "%", "x%00y?z#",
	} {
		for _, n := range []int{size, size / 4, size / 64} {
			spelling := fill(piece)[:n]
			r := arriving("/x" + strings.NewReplacer("#", "%23", " ", "%20").Replace(spelling))
			if r == nil {
				r = arriving("/%")
			}
			if r != nil {
				all["path of "+piece] = r
			}
			r = arriving("/x")
			r.Header.Set("X-Original-URL", spelling)
			all["header of "+piece] = r
			r = arriving("/x%20y/" + strings.NewReplacer("%", "%25", "#", "%23", " ", "%20", "?", "%3f").Replace(fill(piece)[:n/4]))
			r.Header.Set("X-Script-Name", "/x")
			r.Header.Set("X-Forwarded-Prefix", spelling)
			r.Header.Set("X-Rewrite-URL", spelling)
			all["mount of "+piece] = r
		}
	}
	lines := arriving("/%2e/x")
	for range size / 40 {
		lines.Header.Add("X-Original-URL", `x%25252f;a\..%20/`)
	}
	all["lines"] = lines
	return all
}

// However a request is spelled, and however many gates ask, the work has a bound,
// and a gate that asks again costs nothing.
func TestWorkOfReading(t *testing.T) {
	gates := patterns(t, "/paid/*", "*.mp4", "/a/*/b", "/report")
	for name, r := range hostileRequests() {
		reading, kept := rewritten(r, r)
		first := reading.Matches(gates)
		work := kept.Work()
		if work > httpapi.MaxWork {
			t.Errorf("%s: %d bytes were looked at", name, work)
		}
		for range 10 {
			if reading.Matches(gates) != first {
				t.Errorf("%s: another answer", name)
			}
		}
		if kept.Work() != work {
			t.Errorf("%s: %d bytes were looked at, then %d", name, work, kept.Work())
		}
	}
}

// A path that is long to write out is written out a bounded number of times, however
// many headers say where the app is mounted.
func TestWorkOfMounts(t *testing.T) {
	gates := patterns(t, "/paid/*")
	for _, size := range []int{4 << 10, 16 << 10, 120 << 10, 700 << 10} {
		r := arriving("/x")
		r.URL.Path = "/" + strings.Repeat("a", size)
		for _, header := range []string{
			"X-Forwarded-Prefix", "X-Forwarded-PathBase", "X-Forwarded-Base-Path", "X-Forwarded-Context", "X-Forwarded-Script",
			"X-ProxyContextPath", "X-Script-Name", "Script-Name", "X-Ingress-Path", "X-Outside-URL",
		} {
			r.Header.Set(header, "/"+header)
		}
		var before, after runtime.MemStats
		reading, kept := rewritten(arriving("/x"), r)
		runtime.ReadMemStats(&before)
		matches := reading.Matches(gates)
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		if most := uint64(1 << 20); allocated > most || kept.Work() > httpapi.MaxWork || size > 100<<10 && !matches {
			t.Errorf("%d bytes: matches %t, %d KiB allocated, %d bytes looked at", size, matches, allocated>>10, kept.Work())
		}
	}
}

// A path of more than 8 KiB that is not plain matches, and is not looked at.
func TestLongOddPath(t *testing.T) {
	gates := patterns(t, "/paid/*")
	for name, tt := range map[string]struct {
		prefix string
		size   int
		want   bool
	}{
		"odd":            {"/x//", 8 << 10, false},
		"longer, odd":    {"/x//", 8<<10 + 1, true},
		"longest, odd":   {"/x|", 700 << 10, true},
		"longest, plain": {"/x/", 700 << 10, false},
	} {
		r := arriving(tt.prefix)
		r.URL.Path = tt.prefix + strings.Repeat("a", tt.size-len(tt.prefix))
		for _, original := range []*http.Request{r, arriving("/x")} {
			reading, kept := rewritten(original, r)
			if got := reading.Matches(gates); got != tt.want {
				t.Errorf("%s: %v", name, got)
			}
			if tt.want && kept.Work() > 1<<10 {
				t.Errorf("%s: %d bytes were looked at", name, kept.Work())
			}
		}
	}
}

// The usual request costs no allocation, rewritten or not.
func TestPlainPathAllocatesNothing(t *testing.T) {
	gates := patterns(t, "/paid/*", "*.mp4", "/a/*/b", "/report")
	header := http.Header{"Accept": {"*/*"}, "X-Forwarded-For": {"192.0.2.1"}, "X-Requested-With": {"x"}, "User-Agent": {"x"}, "Sec-Fetch-Site": {"none"}}
	for _, tt := range []struct{ original, now string }{
		{"/app/assets/index-4f2a.js", "/app/assets/index-4f2a.js"}, {"/blog/a-post/", "/index.php"}, {"/.well-known/x", "/index.html"}, {"/shop/x", "/x"},
	} {
		original, now := arriving(tt.original), arriving(tt.now)
		now.Header = header
		kept := func(*http.Request) *httpapi.Spellings { t.Error("read in every way"); return new(httpapi.Spellings) }
		if n := testing.AllocsPerRun(100, func() { httpapi.NewReading(now, original.URL, kept).Matches(gates) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.original, n)
		}
	}
}

func BenchmarkHostileReading(b *testing.B) {
	gates := patterns(b, "/paid/*", "*.mp4", "/a/*/b", "/report")
	for name, r := range hostileRequests() {
		b.Run(name, func(b *testing.B) {
			work := 0
			for b.Loop() {
				reading, kept := rewritten(r, r)
				for i := range gates {
					reading.Matches(gates[i : i+1])
				}
				work = kept.Work()
			}
			b.ReportMetric(float64(work), "bytes-read/op")
		})
	}
}
