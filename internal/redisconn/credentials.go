package redisconn

import (
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Credentials are the user and password of a new connection.
type Credentials struct{ Username, Password string }

// SplitURL separates the credentials of a URL from the rest of it. No error shows a password.
func SplitURL(text string) (rest string, c Credentials, err error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return "", c, errURL
	}
	c.Username = u.User.Username()
	c.Password, _ = u.User.Password()
	u.User = nil
	return u.String(), c, nil
}

// logins provides credentials, and remembers the passwords so that no error shows one.
type logins struct {
	current func() Credentials

	mu    sync.Mutex
	given []string // passwords, the newest last
}

// maxGiven is how many passwords are remembered. An error is about a recent connection, so the
// newest passwords are enough.
const maxGiven = 16

// next is a [redis.UniversalOptions.CredentialsProvider].
func (l *logins) next() (username, password string) {
	c := l.current()
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Password != "" && !slices.Contains(l.given, c.Password) {
		if len(l.given) == maxGiven {
			l.given = slices.Delete(l.given, 0, 1)
		}
		l.given = append(l.given, c.Password)
	}
	return c.Username, c.Password
}

// redact returns a text without the passwords. The longest comes first, because one password may
// be a part of another.
func (l *logins) redact(text string) string {
	l.mu.Lock()
	given := slices.Clone(l.given)
	l.mu.Unlock()
	slices.SortFunc(given, func(a, b string) int { return len(b) - len(a) })
	for _, password := range given {
		text = strings.ReplaceAll(text, password, "***")
	}
	return text
}
