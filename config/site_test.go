package config_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/config"
)

func TestSiteRefusals(t *testing.T) {
	for _, bad := range []string{
		"app.example.com", "ftp://app.example.com", "https://", "https://user@app.example.com", "https://app.example.com/app?x=1", "https://app.example.com/a%2fb", "https://app.example.com/a*",
		"https://app.example.com?x=1", "https://app.example.com#x", "https://app.example.com:", "https://app example.com", `https:\\app.example.com`,
	} {
		if _, err := config.NewSite(bad, nil); err == nil || !strings.Contains(err.Error(), "public_url") {
			t.Errorf("public_url %q: %v", bad, err)
		}
	}
	if _, err := config.NewSite("", []string{"/dashboard"}); err == nil || !strings.Contains(err.Error(), "return_to") {
		t.Errorf("a relative return_to: %v", err)
	}
}

func TestBase(t *testing.T) {
	public, err := config.NewSite("https://App.Example.com:443/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if base, ok := public.Base("http", "evil.example"); !ok || base != "https://app.example.com" {
		t.Errorf("with public_url: %q, %v", base, ok)
	}
	none, err := config.NewSite("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"localhost:8080": "http://localhost:8080", "127.0.0.1:80": "http://127.0.0.1", "[::1]:8080": "http://[::1]:8080", "shop.localhost": "http://shop.localhost",
	} {
		if base, ok := none.Base("http", host); !ok || base != want {
			t.Errorf("%s: %q, %v", host, base, ok)
		}
	}
	for _, host := range []string{"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "localhost/x", "x@localhost", "localhost?x", "localhost#x", "", "10.0.0.1", `localhost\x`} {
		if base, ok := none.Base("http", host); ok {
			t.Errorf("host %q made links to %q", host, base)
		}
	}
}

const base = "https://app.example.com"

func TestLanding(t *testing.T) {
	site, err := config.NewSite(base, []string{"https://app.example.com/dashboard", "https://other.example/a/b"})
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[string]string{
		"":                                      "https://app.example.com/dashboard",
		"https://app.example.com/dashboard":     "https://app.example.com/dashboard",
		"https://app.example.com/dashboard/":    "https://app.example.com/dashboard/",
		"https://APP.example.com:443/dashboard": "https://app.example.com/dashboard",
		"https://app.example.com/dashboard?a=b": "https://app.example.com/dashboard?a=b",
		"https://app.example.com/dashboard/x/y": "https://app.example.com/dashboard/x/y",
		"https://other.example/a/b/c":           "https://other.example/a/b/c",
	} {
		if got, err := site.Landing(asked, base); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", asked, got, err, want)
		}
	}
	for _, asked := range disguises {
		if got, err := site.Landing(asked, base); !errors.Is(err, config.ErrReturnTo) {
			t.Errorf("%q was allowed as %q, %v", asked, got, err)
		}
	}
}

var disguises = []string{
	"https://evil.example", "https://app.example.com", "https://app.example.com/", "http://app.example.com/dashboard",
	"https://app.example.com/dashboardx", "https://app.example.com/dashboard/../admin", "https://app.example.com/dashboard/%2e%2e/admin",
	"https://app.example.com/dashboard/%2E./admin", "https://app.example.com/dashboard/..%2fadmin", "https://app.example.com//dashboard",
	"https://app.example.com/dashboard//evil.example", `https://app.example.com\dashboard`, "https://app.example.com/dashboard/%5c..%5cadmin",
	"https://app.example.com@evil.example/dashboard", "https://evil.example/https://app.example.com/dashboard", "https://app.example.com:444/dashboard",
	"https://app.example.com.evil.example/dashboard", "https://app.example.com%2eevil.example/dashboard", "//app.example.com/dashboard", "/dashboard",
	"javascript:alert(1)", "data:text/html,x", "https:app.example.com/dashboard", "https:///app.example.com/dashboard", " https://app.example.com/dashboard",
	"https://app.example.com/dashboard\r\nSet-Cookie: a=b", "https://app.example.com/dashboard#x", "https://аpp.example.com/dashboard", "https://app.example.com:/dashboard",
	"https://app.example.com/dashboard/" + strings.Repeat("a", 3000),
}

func TestLandingWithoutList(t *testing.T) {
	site, err := config.NewSite("", nil)
	if err != nil {
		t.Fatal(err)
	}
	const here = "http://localhost:8080"
	if got, err := site.Landing("", here); err != nil || got != here {
		t.Errorf("default: %q, %v", got, err)
	}
	if got, err := site.Landing(here+"/anywhere", here); err != nil || got != here+"/anywhere" {
		t.Errorf("own origin: %q, %v", got, err)
	}
	if got, err := site.Landing("http://localhost:9090/", here); !errors.Is(err, config.ErrReturnTo) {
		t.Errorf("another port: %q, %v", got, err)
	}
}

// FuzzLanding: whatever is allowed has an allowed origin, as net/url reads it.
func FuzzLanding(f *testing.F) {
	for _, seed := range disguises {
		f.Add(seed)
	}
	site, err := config.NewSite(base, []string{"https://app.example.com/dashboard"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		got, err := site.Landing(asked, base)
		if err != nil {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme+"://"+u.Host != base || !strings.HasPrefix(u.Path, "/dashboard") || u.User != nil {
			t.Errorf("%q was allowed as %q", asked, got)
		}
	})
}

// A path of public_url is part of every link, once.
func TestSiteBelowPath(t *testing.T) {
	for public, paths := range map[string]map[string]string{
		"https://host.example/shop/": {
			"/payments": "/shop/payments", "/shop/payments": "/shop/payments", "/shopping": "/shop/shopping", "/": "/shop/", "/shop": "/shop",
			"/x?y=/shop/": "/shop/x?y=/shop/", "/shop?y": "/shop?y",
		},
		"https://host.example": {"/payments": "/payments", "/": "/"},
		"":                     {"/payments": "/payments", "/": "/"},
	} {
		s, err := config.NewSite(public, nil)
		if err != nil {
			t.Fatal(err)
		}
		for local, want := range paths {
			if got := s.Path(local); got != want {
				t.Errorf("%s: %s is %s, want %s", public, local, got, want)
			}
		}
	}
	s, err := config.NewSite("https://host.example/shop", nil)
	if err != nil {
		t.Fatal(err)
	}
	base, _ := s.Base("http", "evil.example")
	for asked, want := range map[string]string{"": "https://host.example/shop/", "https://host.example/shop/x": "https://host.example/shop/x", "https://host.example/shopping": ""} {
		if got, err := s.Landing(asked, base); got != want || (err != nil) != (want == "") {
			t.Errorf("landing at %q: %q, %v", asked, got, err)
		}
	}
	for address, want := range map[string]string{"https://host.example/x": "https://host.example/shop/", "https://docs.example/x": "https://docs.example/", "x": "/shop/"} {
		if got := s.Home(address); got != want {
			t.Errorf("home of %s: %s", address, got)
		}
	}
}
