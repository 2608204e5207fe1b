package httpapi

import (
	"encoding/json"
	"net/http"
)

// Handover is a refusal that the site answers with a page of its own.
type Handover struct {
	Problem
	// Offers is a JSON array of what would satisfy the request; empty if nothing can be
	// bought against this refusal. Its texts have no character that means something to
	// HTML, to templates or to Caddy's placeholders.
	Offers string
}

// HandOver prepares a refusal for a page of the site's own: it sets the headers that
// hold for every page (Retry-After, Cache-Control) and writes nothing. It returns false
// for a call of gRPC, whose client reads no pages: [API.Refuse] answers that.
func (a *API) HandOver(w http.ResponseWriter, r *http.Request, no Refusal) (Handover, bool) {
	if no.Account == "" {
		return HandOverError(w, r, no.stranger())
	}
	if rpcType(r) != "" {
		return Handover{}, false
	}
	p := no.problem()
	p.writeHeader(w)
	return Handover{Problem: p, Offers: offersJSON(a.offers(r.Context(), no, a.shop.OffersNow(r.Context())))}, true
}

// HandOverError is [API.HandOver] for a request that could not be judged; without it
// [RefuseWith] answers.
func HandOverError(w http.ResponseWriter, r *http.Request, err error) (Handover, bool) {
	if rpcType(r) != "" {
		return Handover{}, false
	}
	p := ProblemOf(err)
	p.writeHeader(w)
	return Handover{Problem: p}, true
}

// offersJSON writes offers for a place in somebody else's page. The encoder escapes
// <, >, & and the line separators of JavaScript; inText escapes the rest.
func offersJSON(offers []offerAnswer) string {
	text, err := json.Marshal(append([]offerAnswer{}, offers...))
	if err != nil {
		return "[]"
	}
	return string(escapeInText(text))
}

// inText are the characters that are escaped inside of JSON strings: quotes of HTML and
// JavaScript, and braces, because templates and placeholders begin with them.
var inText = map[byte]string{'\'': `\u0027`, '`': `\u0060`, '{': `\u007b`, '}': `\u007d`}

func escapeInText(document []byte) []byte {
	out := make([]byte, 0, len(document))
	inString := false
	for i := 0; i < len(document); i++ {
		c := document[i]
		switch escaped, special := inText[c]; {
		case !inString:
			inString = c == '"'
			out = append(out, c)
		case c == '\\': // the next one belongs to it
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
