package dodo_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
)

const (
	secret      = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	eventID     = "msg_2" // whose signature has "+" and "/" in it
	eventBody   = `{"type":"payment.succeeded"}`
	now         = 1795288583
)

// sign is an independent implementation of Standard Webhooks v1.
func sign(secret, id, timestamp, body string) string {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "." + body))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func at(seconds int64) func() time.Time {
	return func() time.Time { return time.Unix(seconds, 999_999_999) }
}

func newVerifier(t testing.TB, clock func() time.Time, secrets ...string) *dodo.Verifier {
	t.Helper()
	v, err := dodo.NewVerifier(secrets, clock)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func headers(id, timestamp, signature string) http.Header {
	h := make(http.Header)
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", timestamp)
	h.Set("webhook-signature", signature)
	return h
}

func TestVerifyAcceptsFixedVectors(t *testing.T) {
	for name, tc := range map[string]struct {
		secret, id, body, signature string
		timestamp                   int64
	}{
		"most libraries": {
			"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", `{"test": 2432232314}`,
			"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", 1614265330,
		},
		"rust": {
			"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
			`{"email":"test@example.com","username":"test_user"}`,
			"v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=", 1649367553,
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, at(tc.timestamp), tc.secret)
			got, err := v.Verify(headers(tc.id, strconv.FormatInt(tc.timestamp, 10), tc.signature), []byte(tc.body))
			want := dodo.Delivery{ID: tc.id, SentAt: time.Unix(tc.timestamp, 0).UTC()}
			if err != nil || got != want {
				t.Errorf("Verify = %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

// The rows of RELIABILITY 1.2 and 1.3 that are about the headers, by what the
// sender did to a properly signed delivery.
func TestVerifyHeaders(t *testing.T) {
	stamp := strconv.Itoa(now)
	good := sign(secret, eventID, stamp, eventBody)
	value := strings.TrimPrefix(good, "v1,")
	set := func(name string, values ...string) func(http.Header) {
		return func(h http.Header) { h[http.CanonicalHeaderKey(name)] = values }
	}
	signature := func(s string) func(http.Header) { return set("webhook-signature", s) }
	raw, _ := base64.StdEncoding.DecodeString(value)

	for name, tc := range map[string]struct {
		change func(http.Header)
		want   error
	}{
		"untouched": {func(http.Header) {}, nil},

		"no id":                                 {set("webhook-id"), dodo.ErrSignature},
		"no timestamp":                          {set("webhook-timestamp"), dodo.ErrSignature},
		"no signature":                          {set("webhook-signature"), dodo.ErrSignature},
		"empty signature":                       {signature(""), dodo.ErrSignature},
		"nothing at all":                        {func(h http.Header) { clear(h) }, dodo.ErrSignature},
		"two ids":                               {set("webhook-id", eventID, "msg_3"), dodo.ErrMalformed},
		"the same id twice":                     {set("webhook-id", eventID, eventID), dodo.ErrMalformed},
		"two timestamps":                        {set("webhook-timestamp", stamp, stamp), dodo.ErrMalformed},
		"two signatures lines, good one first":  {set("webhook-signature", good, "v1,AAAA"), dodo.ErrMalformed},
		"two signatures lines, good one second": {set("webhook-signature", "v1,AAAA", good), dodo.ErrMalformed},

		"wrong signature":       {signature(sign(otherSecret, eventID, stamp, eventBody)), dodo.ErrSignature},
		"partial v1,":           {signature("v1,"), dodo.ErrSignature},
		"first 8 characters":    {signature(good[:11]), dodo.ErrSignature},
		"longer":                {signature(good + "AAAA"), dodo.ErrSignature},
		"no version":            {signature(value), dodo.ErrSignature},
		"only a comma":          {signature(","), dodo.ErrSignature},
		"v1=":                   {signature("v1=" + value), dodo.ErrSignature},
		"V1":                    {signature("V1," + value), dodo.ErrSignature},
		"v2":                    {signature("v2," + value), dodo.ErrSignature},
		"v1a":                   {signature("v1a," + value), dodo.ErrSignature},
		"hex":                   {signature("v1," + hex.EncodeToString(raw)), dodo.ErrSignature},
		"base64url":             {signature("v1," + base64.URLEncoding.EncodeToString(raw)), dodo.ErrSignature},
		"unpadded":              {signature(strings.TrimRight(good, "=")), dodo.ErrSignature},
		"an extra =":            {signature(good + "="), dodo.ErrSignature},
		"a third part":          {signature(good + ",junk"), dodo.ErrSignature},
		"tab between":           {signature("v1,AAAA\t" + good), dodo.ErrSignature},
		"double spaces":         {signature("  v1,AAAA  " + good + " "), nil},
		"comma and space":       {signature("v1,AAAA, " + good), nil},
		"after junk":            {signature("junk v2,x v1a,AAAA v1, " + good), nil},
		"among several, none":   {signature("v1,AAAA v2," + value + " v1,BBBB"), dodo.ErrSignature},
		"sixteenth of sixteen":  {signature(strings.Repeat("v1,AAAA ", 15) + good), nil},
		"seventeen":             {signature(good + strings.Repeat(" v1,AAAA", 16)), dodo.ErrMalformed},
		"200,000 of them":       {signature(strings.Repeat("v1,AAAA ", 200_000) + good), dodo.ErrMalformed},
		"of two secrets, by v1": {signature(sign(otherSecret, eventID, stamp, eventBody) + " " + good), nil},

		"id with a dot":      {set("webhook-id", "msg.2"), dodo.ErrMalformed},
		"id with a space":    {set("webhook-id", "msg 2"), dodo.ErrMalformed},
		"id with a newline":  {set("webhook-id", "msg\n2"), dodo.ErrMalformed},
		"id not ASCII":       {set("webhook-id", "msg_é"), dodo.ErrMalformed},
		"id of 257":          {set("webhook-id", strings.Repeat("a", 257)), dodo.ErrMalformed},
		"id of 100 kB":       {set("webhook-id", strings.Repeat("a", 100_000)), dodo.ErrMalformed},
		"id of somebody":     {set("webhook-id", "msg_3"), dodo.ErrSignature},
		"timestamp of 2000":  {set("webhook-timestamp", "946684800"), dodo.ErrStale},
		"another timestamp":  {set("webhook-timestamp", strconv.Itoa(now+1)), dodo.ErrSignature},
		"timestamp +":        {set("webhook-timestamp", "+"+stamp), dodo.ErrMalformed},
		"timestamp 0…":       {set("webhook-timestamp", "0"+stamp), dodo.ErrMalformed},
		"timestamp 0":        {set("webhook-timestamp", "0"), dodo.ErrMalformed},
		"timestamp -1":       {set("webhook-timestamp", "-1"), dodo.ErrMalformed},
		"timestamp max":      {set("webhook-timestamp", "9223372036854775807"), dodo.ErrMalformed},
		"timestamp too big":  {set("webhook-timestamp", "9223372036854775808"), dodo.ErrMalformed},
		"timestamp 12 nines": {set("webhook-timestamp", "999999999999"), dodo.ErrStale},
		"timestamp in ms":    {set("webhook-timestamp", stamp+"000"), dodo.ErrMalformed},
		"timestamp .0":       {set("webhook-timestamp", stamp+".0"), dodo.ErrMalformed},
		"timestamp hex":      {set("webhook-timestamp", "0x6b021e47"), dodo.ErrMalformed},
		"timestamp 1e9":      {set("webhook-timestamp", "1e9"), dodo.ErrMalformed},
		"timestamp 1_7":      {set("webhook-timestamp", "1_795288583"), dodo.ErrMalformed},
		"timestamp arabic":   {set("webhook-timestamp", "١٧٩٥٢٨٨٥٨٣"), dodo.ErrMalformed},
		"timestamp spaces":   {set("webhook-timestamp", " "+stamp), dodo.ErrMalformed},
		"timestamp word":     {set("webhook-timestamp", "now"), dodo.ErrMalformed},

		"svix alias":            {toSvix, nil},
		"svix beside webhook":   {func(h http.Header) { h.Set("svix-id", "msg_other") }, nil},
		"svix id only replaced": {func(h http.Header) { h.Set("svix-id", eventID); h.Del("webhook-id") }, dodo.ErrSignature},
		"webhook id and svix":   {func(h http.Header) { toSvix(h); h.Set("webhook-id", eventID) }, dodo.ErrSignature},
		"svix alias, two ids":   {func(h http.Header) { toSvix(h); h.Add("svix-id", eventID) }, dodo.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			h := headers(eventID, stamp, good)
			tc.change(h)
			got, err := newVerifier(t, at(now), secret).Verify(h, []byte(eventBody))
			checkVerdict(t, got, err, tc.want)
		})
	}
}

func checkVerdict(t *testing.T, got dodo.Delivery, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	if want != nil && got != (dodo.Delivery{}) {
		t.Errorf("a delivery %+v comes with the error", got)
	}
	if want == nil && got.ID != eventID {
		t.Errorf("id %q, want %q", got.ID, eventID)
	}
}

func toSvix(h http.Header) {
	for _, name := range []string{"id", "timestamp", "signature"} {
		h.Set("svix-"+name, h.Get("webhook-"+name))
		h.Del("webhook-" + name)
	}
}

func TestVerifyFreshness(t *testing.T) {
	for offset, want := range map[int64]error{
		-301: dodo.ErrStale, -300: nil, -299: nil, 0: nil, 299: nil, 300: nil, 301: dodo.ErrStale,
	} {
		t.Run(strconv.FormatInt(offset, 10), func(t *testing.T) {
			stamp := strconv.FormatInt(now+offset, 10)
			h := headers(eventID, stamp, sign(secret, eventID, stamp, eventBody))
			got, err := newVerifier(t, at(now), secret).Verify(h, []byte(eventBody))
			checkVerdict(t, got, err, want)
			if err == nil && got.SentAt.Unix() != now+offset {
				t.Errorf("sent at %v", got.SentAt)
			}
		})
	}
}

// What is signed but is no JSON object is refused for that, not for its
// signature: the sender is Dodo, and 400 tells so.
func TestVerifyBody(t *testing.T) {
	stamp := strconv.Itoa(now)
	for name, tc := range map[string]struct {
		body string
		want error
	}{
		"object":         {`{}`, nil},
		"large":          {`{"a":"` + strings.Repeat("x", 1<<20) + `"}`, nil},
		"empty":          {``, dodo.ErrMalformed},
		"array":          {`[]`, dodo.ErrMalformed},
		"leading space":  {` {}`, dodo.ErrMalformed},
		"NUL":            {"\x00{}", dodo.ErrMalformed},
		"byte order":     {"\ufeff{}", dodo.ErrMalformed},
		"recut, a digit": {`1795288583.{}`, dodo.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			h := headers(eventID, stamp, sign(secret, eventID, stamp, tc.body))
			got, err := newVerifier(t, at(now), secret).Verify(h, []byte(tc.body))
			checkVerdict(t, got, err, tc.want)
		})
	}
	t.Run("changed", func(t *testing.T) {
		h := headers(eventID, stamp, sign(secret, eventID, stamp, eventBody))
		got, err := newVerifier(t, at(now), secret).Verify(h, []byte(eventBody+" "))
		checkVerdict(t, got, err, dodo.ErrSignature)
	})
	t.Run("recut at another dot", func(t *testing.T) {
		// Signed as id "m", time now, body "now.{}"; presented as id "m.now".
		sig := sign(secret, "m", stamp, stamp+".{}")
		_, err := newVerifier(t, at(now), secret).Verify(headers("m."+stamp, stamp, sig), []byte("{}"))
		if !errors.Is(err, dodo.ErrMalformed) {
			t.Errorf("error %v, want %v", err, dodo.ErrMalformed)
		}
	})
}

func TestVerifyAnySecret(t *testing.T) {
	stamp := strconv.Itoa(now)
	v := newVerifier(t, at(now), otherSecret, secret)
	for _, by := range []string{secret, otherSecret} {
		if _, err := v.Verify(headers(eventID, stamp, sign(by, eventID, stamp, eventBody)), []byte(eventBody)); err != nil {
			t.Errorf("signed by %s: %v", by, err)
		}
	}
	third := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	if _, err := v.Verify(headers(eventID, stamp, sign(third, eventID, stamp, eventBody)), []byte(eventBody)); !errors.Is(err, dodo.ErrSignature) {
		t.Errorf("signed by a third secret: %v", err)
	}
}

func TestNewVerifierSecrets(t *testing.T) {
	bare := strings.TrimPrefix(secret, "whsec_")
	b64 := base64.StdEncoding.EncodeToString
	for name, tc := range map[string]struct {
		secret string
		want   string // in the error; "" for none
	}{
		"with prefix":            {secret, ""},
		"without prefix":         {bare, ""},
		"of 32 bytes, padded":    {"whsec_" + b64(make([]byte, 32)), ""},
		"of 32 bytes, unpadded":  {"whsec_" + strings.TrimRight(b64(make([]byte, 32)), "="), ""},
		"of 25 bytes, one pad":   {"whsec_" + strings.TrimSuffix(b64(make([]byte, 25)), "="), ""},
		"of 64 bytes":            {"whsec_" + b64(make([]byte, 64)), ""},
		"outer space":            {" \t" + secret + "\r\n", ""},
		"empty":                  {"", "empty"},
		"only spaces":            {" \n", "empty"},
		"prefix alone":           {"whsec_", "empty"},
		"prefix and line break":  {"whsec_\r\n", "empty"},
		"only padding":           {"whsec_====", "base64"},
		"one byte":               {"whsec_YQ==", "too short: 1 bytes"},
		"23 bytes":               {"whsec_" + b64(make([]byte, 23)), "too short: 23 bytes"},
		"line break inside":      {secret[:20] + "\n" + secret[20:], "base64"},
		"space after the prefix": {"whsec_ " + bare, "base64"},
		"base64url":              {"whsec_" + strings.Repeat("-_-_", 10), "base64"},
		"too much padding":       {secret + "=", "base64"},
		"not base64":             {"whsec_!!!", "base64"},
		"upper-case prefix":      {"WHSEC_" + bare, "lower case"},
		"double prefix":          {"whsec_" + secret, "base64"},
		"versioned":              {"v1," + secret, "versioned"},
		"public key":             {"whpk_" + bare, "ed25519"},
		"private key":            {"whsk_" + bare, "ed25519"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dodo.NewVerifier([]string{otherSecret, tc.secret}, nil)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), "webhook secret 2: ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q does not name secret 2 and %q", err, tc.want)
			}
			if len(bare) > 0 && strings.Contains(err.Error(), bare[:8]) {
				t.Errorf("error %q shows the secret", err)
			}
		})
	}
	if _, err := dodo.NewVerifier(nil, nil); err == nil {
		t.Error("no secret at all is accepted")
	}
}

// Unpadded and padded spellings are the same key.
func TestVerifyUnpaddedSecret(t *testing.T) {
	padded := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 25)))
	stamp := strconv.Itoa(now)
	h := headers(eventID, stamp, sign(padded, eventID, stamp, eventBody))
	for _, s := range []string{padded, strings.TrimRight(padded, "="), strings.TrimSuffix(padded, "=")} {
		if _, err := newVerifier(t, at(now), s).Verify(h, []byte(eventBody)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// An empty key must not verify by any road: the library accepts one.
func TestVerifyEmptyKeyForgery(t *testing.T) {
	stamp := strconv.Itoa(now)
	h := headers(eventID, stamp, sign("whsec_", eventID, stamp, eventBody))
	if _, err := newVerifier(t, at(now), secret).Verify(h, []byte(eventBody)); !errors.Is(err, dodo.ErrSignature) {
		t.Errorf("forged with an empty key: %v", err)
	}
}

// Anybody may send a body with a signature that is wrong, so to find that out must not
// cost memory.
func TestVerifyCopiesNoBody(t *testing.T) {
	v := newVerifier(t, at(now), secret, otherSecret)
	stamp, body := strconv.Itoa(now), []byte("{"+strings.Repeat(" ", 1<<20-1))
	h := headers(eventID, stamp, sign(secret, eventID, stamp, eventBody))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := v.Verify(h, body)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, dodo.ErrSignature) {
		t.Errorf("Verify: %v", err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 256<<10 {
		t.Errorf("%d KiB allocated", allocated>>10)
	}
}
