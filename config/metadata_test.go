package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/config"
)

func TestCheckMetadata(t *testing.T) {
	for _, name := range []string{"ref", "utm_source", "Campaign-7", strings.Repeat("x", 40)} {
		if err := config.CheckMetadata([]config.MetadataField{{Name: name}}); err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string]string{
		"":                          "a name has",
		strings.Repeat("x", 41):     "a name has",
		"a b":                       "a name has",
		"ü":                         "a name has",
		"{http.request.cookie.ref}": "a name first and its placeholder second",
		"dodogate_account":          "dodogate's own",
		"DodoGate_proof":            "dodogate's own",
		"dodogate_":                 "dodogate's own",
	} {
		if err := config.CheckMetadata([]config.MetadataField{{Name: name}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
	if err := config.CheckMetadata([]config.MetadataField{{Name: "a"}, {Name: "a"}}); err == nil {
		t.Error("a name may be given twice")
	}
	var many []config.MetadataField
	for i := range config.MaxMetadataFields + 1 {
		many = append(many, config.MetadataField{Name: fmt.Sprint("n", i)})
	}
	if err := config.CheckMetadata(many[1:]); err != nil {
		t.Error(err)
	}
	if err := config.CheckMetadata(many); err == nil {
		t.Error("there may be more than Dodo takes")
	}
}

func TestMetadataValue(t *testing.T) {
	for given, want := range map[string]string{
		"":                           "",
		"newsletter 7":               "newsletter 7",
		"a\x00b\nc\u0085d":           "abcd",
		"\xffok\xc3":                 "ok",
		strings.Repeat("é", 500):     strings.Repeat("é", 500),
		strings.Repeat("😀", 501):     strings.Repeat("😀", 500),
		strings.Repeat("\x00", 9999): "",
	} {
		if got := config.MetadataValue(given); got != want {
			t.Errorf("%.20q becomes %.20q", given, got)
		}
	}
}
