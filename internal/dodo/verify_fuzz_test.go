package dodo_test

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	idForm    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
	stampForm = regexp.MustCompile(`^[1-9][0-9]{0,11}$`)
)

// FuzzVerify signs one delivery and presents another. It must be accepted when
// and only when a second, independent reading of the rules says so; in
// particular never when anything that was signed has changed.
func FuzzVerify(f *testing.F) {
	stamp := strconv.Itoa(now)
	f.Add(eventID, stamp, eventBody, eventID, stamp, eventBody, "", "", false)
	f.Add(eventID, stamp, eventBody, eventID, stamp, eventBody+" ", "v1,AAAA ", " v2,x", true)
	f.Add("m", stamp, stamp+".{}", "m."+stamp, stamp, "{}", "", "", false)
	f.Add(eventID, "+"+stamp, eventBody, eventID, stamp, eventBody, "", ",junk", false)
	f.Add(eventID, "0", "{}", eventID, stamp, "", strings.Repeat("v1,AAAA ", 16), "", false)
	f.Add("", "", "", "", "", "", "v1,", "\t", true)
	v := newVerifier(f, at(now), otherSecret, secret)

	f.Fuzz(func(t *testing.T, id, ts, body, shownID, shownTS, shownBody, before, after string, svix bool) {
		signature := before + sign(secret, id, ts, body) + after
		h := headers(shownID, shownTS, signature)
		if svix {
			toSvix(h)
		}
		got, err := v.Verify(h, []byte(shownBody))
		if want := believable(h, shownBody); (err == nil) != want {
			t.Fatalf("Verify(%q, %q) = %v, want accepted %t", h, shownBody, err, want)
		}
		if err != nil {
			return
		}
		if shownID != id || shownTS != ts || shownBody != body {
			t.Fatalf("a delivery signed as %q %q %q passes as %q %q %q", id, ts, body, shownID, shownTS, shownBody)
		}
		if got.ID != id || strconv.FormatInt(got.SentAt.Unix(), 10) != ts {
			t.Fatalf("delivery %+v, signed as %q %q", got, id, ts)
		}
	})
}

// believable spells the rules out once more, without the library.
func believable(h http.Header, body string) bool {
	prefix := "Webhook-"
	if h[prefix+"Id"] == nil && h[prefix+"Timestamp"] == nil && h[prefix+"Signature"] == nil {
		prefix = "Svix-"
	}
	id, ts := h.Get(prefix+"Id"), h.Get(prefix+"Timestamp")
	if !idForm.MatchString(id) || !stampForm.MatchString(ts) || !strings.HasPrefix(body, "{") {
		return false
	}
	sent, err := strconv.ParseInt(ts, 10, 64)
	if err != nil || sent < now-300 || sent > now+300 {
		return false
	}
	matches := false
	entries := strings.FieldsFunc(h.Get(prefix+"Signature"), func(r rune) bool { return r == ' ' })
	for _, entry := range entries {
		matches = matches || entry == sign(secret, id, ts, body) || entry == sign(otherSecret, id, ts, body)
	}
	return matches && len(entries) <= 16
}
