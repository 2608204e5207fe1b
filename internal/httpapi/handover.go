package httpapi

import (
	"encoding/json"
	"net/http"
)

// Handover is a refusal that the site answers with a page of its own.
type Handover struct {
	Problem
	// Offers is a JSON array of products that would satisfy the request; empty if no purchase
	// helps. Its texts contain no character with a meaning in HTML, in templates or in Caddy's
	// placeholders.
	Offers string
}

// HandOver prepares a refusal for a page of the site's own: it sets the headers that every
// page needs (Retry-After, Cache-Control) and writes nothing. It returns false for a gRPC
// call, whose client reads no pages; the caller then uses [API.Refuse].
func (a *API) HandOver(w http.ResponseWriter, r *http.Request, refusal Refusal) (Handover, bool) {
	if refusal.Account == "" {
		return HandOverError(w, r, refusal.anonymousError())
	}
	if rpcType(r) != "" {
		return Handover{}, false
	}
	p := refusal.problem()
	p.writeHeader(w)
	return Handover{Problem: p, Offers: offersJSON(a.offers(r.Context(), refusal, a.shop.OffersNow(r.Context())))}, true
}

// HandOverError is [API.HandOver] for a request that could not be judged; if it returns false,
// the caller uses [RefuseWith].
func HandOverError(w http.ResponseWriter, r *http.Request, err error) (Handover, bool) {
	if rpcType(r) != "" {
		return Handover{}, false
	}
	p := ProblemOf(err)
	p.writeHeader(w)
	return Handover{Problem: p}, true
}

// offersJSON writes offers for use inside another page. The encoder escapes <, >, & and the
// line separators of JavaScript; escapeInText escapes the rest.
func offersJSON(offers []offerAnswer) string {
	text, err := json.Marshal(append([]offerAnswer{}, offers...))
	if err != nil {
		return "[]"
	}
	return string(escapeInText(text))
}

// escapedInStrings are the characters that are escaped inside JSON strings: quotes of HTML and
// JavaScript, and braces, which begin templates and placeholders.
var escapedInStrings = map[byte]string{'\'': `\u0027`, '`': `\u0060`, '{': `\u007b`, '}': `\u007d`}

func escapeInText(document []byte) []byte {
	out := make([]byte, 0, len(document))
	inString := false
	for i := 0; i < len(document); i++ {
		c := document[i]
		switch escaped, special := escapedInStrings[c]; {
		case !inString:
			inString = c == '"'
			out = append(out, c)
		case c == '\\': // keep the escaped character with it
			out = append(out, c, document[i+1])
			i++
		case special:
			out = append(out, escaped...)
		default:
			inString = c != '"'
			out = append(out, c)
		}
	}
	return out
}
