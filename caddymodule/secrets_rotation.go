package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/dodogate/dodogate/internal/gateway"
)

// secretsPace is how often the files of secrets are read.
var secretsPace = time.Second

// rotation keeps a secret as its files are ({file./path}), so that it can be changed
// while the server runs. A value is used once two looks in a row have found it: one that
// was found once may be half written. If a file cannot be read or its secret cannot be
// used, the last good one stays.
//
// It keeps digests, because whatever is kept may be printed one day.
type rotation struct {
	setting string
	values  []string // as they are written in the config
	// use takes new values, or refuses them by an error that shows none.
	use func(values []string) error
	log *zap.Logger

	inUse   string // digest of the values in use
	found   string // what the last look found: a digest, or why there is none
	trouble string // what was logged and has not ended
}

// newRotation follows a setting whose values are resolved already. It is nil if the setting
// names no file.
func newRotation(log *zap.Logger, setting string, values, resolved []string, use func(values []string) error) *rotation {
	if !slices.ContainsFunc(values, namesFile) {
		return nil
	}
	return &rotation{setting: setting, values: values, use: use, log: log, inUse: digest(resolved)}
}

func namesFile(value string) bool { return strings.Contains(value, "{"+filePrefix) }

const filePrefix = "file."

// look reads the files, and changes the secret if it has become another one.
func (r *rotation) look() {
	values, err := readAgain(r.values)
	finds := digest(values)
	if err != nil {
		finds = err.Error()
	}
	settled := finds == r.found
	r.found = finds
	switch {
	case !settled:
	case err != nil:
		r.complain("a secret cannot be read again; its last value stays in use", err)
	case finds == r.inUse:
		if r.trouble != "" {
			r.trouble = ""
			r.log.Info("a secret is as it was before", zap.String("setting", r.setting))
		}
	default:
		if err := r.use(values); err != nil {
			r.complain("a new secret is refused; the one before it stays in use", err)
			return
		}
		r.inUse, r.trouble = finds, ""
		r.log.Info("a secret was changed, and the new one is in use", zap.String("setting", r.setting))
	}
}

// complain logs each trouble once.
func (r *rotation) complain(what string, why error) {
	if text := what + why.Error(); text != r.trouble {
		r.trouble = text
		r.log.Error(what, zap.String("setting", r.setting), zap.Error(why))
	}
}

// keepRotating looks at the files until stop is called. It leaves out rotations that are
// nil. What is under way when it is stopped ends by itself: a file may be on a disk that
// hangs.
func keepRotating(rotations ...*rotation) (stop context.CancelFunc) {
	rotations = slices.DeleteFunc(rotations, func(r *rotation) bool { return r == nil })
	ctx, stop := context.WithCancel(context.Background())
	if len(rotations) == 0 {
		return stop
	}
	tick := time.NewTicker(secretsPace)
	go func() {
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			for _, r := range rotations {
				r.look()
			}
		}
	}()
	return stop
}

// readAgain resolves values as [resolver] does, but logs nothing. An error names the
// placeholder that cannot be filled in.
func readAgain(values []string) ([]string, error) {
	var failed error
	repl := caddy.NewReplacer().WithoutFile()
	repl.Map(func(key string) (any, bool) {
		path, ok := strings.CutPrefix(key, filePrefix)
		if !ok {
			return nil, false
		}
		text, err := readSecretFile(path)
		if err != nil {
			failed = err
		}
		return text, true
	})
	resolved := make([]string, 0, len(values))
	for _, value := range values {
		text, err := "", error(nil)
		if value != "" {
			text, err = repl.ReplaceOrErr(value, true, true)
		}
		switch {
		case failed != nil:
			return nil, failed
		case err != nil: // it may quote a part of the value
			return nil, errors.New("a placeholder in it is unknown or empty")
		}
		resolved = append(resolved, text)
	}
	return resolved, nil
}

// maxSecretFile is how much of a file Caddy reads for a placeholder.
const maxSecretFile = 1 << 20

// readSecretFile reads a file as Caddy does for {file./path}. It opens only regular files:
// a pipe would be empty the second time, or never end.
func readSecretFile(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file, which is needed to read it again", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	body, err := io.ReadAll(io.LimitReader(file, maxSecretFile))
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(body), "\n"), "\r")
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return text, nil
}

// rotations are those of the app's own secrets.
func (a *App) rotations(o gateway.Options, apiKey string, webhookSecrets, proofSecrets []string) []*rotation {
	follow := func(setting string, values, resolved []string, use func([]string) error) *rotation {
		return newRotation(a.logger, setting, values, resolved, use)
	}
	return []*rotation{
		follow("api_key", []string{a.APIKey}, []string{apiKey}, func(values []string) error {
			err := a.client.SetAPIKey(values[0])
			if err == nil && len(a.ProofSecrets) == 0 {
				err = o.Prover.Rotate(proofKeys(nil, values[0]))
			}
			return err
		}),
		follow("webhook_secret", a.WebhookSecrets, webhookSecrets, func(values []string) error {
			return o.Verifier.Rotate(eachWord(values))
		}),
		follow("proof_secret", a.ProofSecrets, proofSecrets, func(values []string) error {
			return o.Prover.Rotate(proofKeys(values, ""))
		}),
	}
}

// eachWord are the secrets of values that have several, with white space between them.
func eachWord(values []string) []string {
	var words []string
	for _, value := range values {
		words = append(words, strings.Fields(value)...)
	}
	return words
}
