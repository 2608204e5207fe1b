package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/dodogate/dodogate/internal/gateway"
)

// credentials are what a request sends to the app.
type credentials struct{ cookie, authorization string }

// maxAnswer bounds the body of an app's answer.
const maxAnswer = 64 << 10

// callApp asks the app once. The zero Identity is a visitor whom the app does not know.
func (a *Ask) callApp(ctx context.Context, c credentials, about Forwarded, agent string) (gateway.Identity, error) {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return gateway.Identity{}, errQueueFull
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.options.URL, nil)
	if err != nil {
		return gateway.Identity{}, err
	}
	set := func(name, value string) {
		if value != "" {
			r.Header[name] = []string{value}
		}
	}
	set("Cookie", c.cookie)
	set("Authorization", c.authorization)
	set("Accept", "application/json")
	r.Header["User-Agent"] = []string{agent} // the client's own; empty for none
	set("X-Forwarded-For", about.For)
	set("X-Forwarded-Host", about.Host)
	set("X-Forwarded-Proto", about.Proto)
	set(loopHeader, loopMark)
	resp, err := a.client.Do(r)
	if err != nil {
		return gateway.Identity{}, stripURL(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return gateway.Identity{}, nil
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return gateway.Identity{}, fmt.Errorf("the app answers with status %d", resp.StatusCode)
	}
	return a.read(resp)
}

// read finds the identity in a successful answer.
func (a *Ask) read(resp *http.Response) (gateway.Identity, error) {
	var who gateway.Identity
	if a.needBody {
		fields, err := readObject(resp)
		if err != nil {
			return gateway.Identity{}, err
		}
		if who.Account, err = accountID(fields.lookup(a.options.Fields.Account)); err != nil {
			return gateway.Identity{}, err
		}
		fields.readDetails(a.options.Fields, &who)
	}
	if err := a.options.Headers.read(resp.Header, &who); err != nil {
		return gateway.Identity{}, err
	}
	if len(who.Account) > gateway.MaxAccount {
		return gateway.Identity{}, fmt.Errorf("the app's answer names an account of more than %d bytes", gateway.MaxAccount)
	}
	if who.Account == "" {
		return gateway.Identity{}, nil
	}
	return who, nil
}

// readObject reads the JSON of an answer. null counts as an empty object, because some apps
// answer so for visitors whom they do not know.
func readObject(resp *http.Response) (object, error) {
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
		return nil, errors.New("the app's answer is not JSON")
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, errors.New("the app's answer was cut off")
	}
	if len(text) > maxAnswer {
		return nil, fmt.Errorf("the app's answer has more than %d bytes", maxAnswer)
	}
	if strings.TrimSpace(string(text)) == "null" {
		return object{}, nil
	}
	fields, ok := parseObject(text)
	if !ok {
		return nil, errors.New("the app's answer is not a JSON object with each name once")
	}
	return fields, nil
}

// accountID is an id in an app's answer: a string, or a whole number in its written form. A
// missing value means nobody; any other value is an error.
func accountID(value jsontext.Value) (string, error) {
	if value == nil {
		return "", nil
	}
	if id, ok := text(value); ok {
		return id, nil
	}
	if digits := value.String(); value.Kind() == '0' && strings.Trim(digits, "0123456789") == "" {
		return digits, nil
	}
	return "", errors.New("the account's id in the app's answer is neither a string nor a whole number")
}

// read reads the identity from response headers.
func (h HeaderNames) read(header http.Header, who *gateway.Identity) error {
	for _, place := range []struct {
		name string
		set  func(string)
	}{
		{h.Account, func(s string) { who.Account = s }},
		{h.Email, func(s string) {
			if len(s) <= maxEmail {
				who.Email = s
			}
		}},
		{h.EmailVerified, func(s string) { who.EmailVerified = who.Email != "" && s == "true" }},
		{h.Name, func(s string) {
			if len(s) <= maxName {
				who.Name = s
			}
		}},
	} {
		if place.name == "" {
			continue
		}
		values := header.Values(place.name)
		if len(values) > 1 {
			return fmt.Errorf("the app's answer has several %s headers", http.CanonicalHeaderKey(place.name))
		}
		if len(values) == 1 {
			place.set(strings.TrimSpace(values[0]))
		}
	}
	return nil
}
