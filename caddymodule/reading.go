package caddymodule

import (
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/httpapi"
)

// readingOf is what a request might ask for, for everything of ours that asks. What
// was found out is kept with the request.
func readingOf(r *http.Request) httpapi.Reading {
	return httpapi.NewReading(r, originalURL(r), keptSpellings)
}

// originalURL is the address that a request arrived with, before any rewriting.
func originalURL(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL
	}
	return r.URL
}

// spellingsKey is the request variable of [keptSpellings].
const spellingsKey = "dodo_spellings"

func keptSpellings(r *http.Request) *httpapi.Spellings {
	if kept, ok := caddyhttp.GetVar(r.Context(), spellingsKey).(*httpapi.Spellings); ok {
		return kept
	}
	kept := new(httpapi.Spellings)
	caddyhttp.SetVar(r.Context(), spellingsKey, kept)
	return kept
}
