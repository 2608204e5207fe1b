package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ticks is how many events of a stream are timed in a round.
const ticks = 200

// stream is what a contestant did to long answers.
type stream struct {
	growth   series // MiB of memory, at most, during the download
	took     series // seconds, of the download
	p50, p99 series // microseconds from the upstream to the client, of an event
}

// streams measures what passes through without an end in sight: a download and
// server-sent events.
func (b *bench) streams(ctx context.Context) (string, error) {
	field, err := b.field(ctx, func(c contestant) bool {
		return !c.refused && c.naive == "" && !c.ownGC && !c.direct && !c.token && !c.hot && !c.older
	})
	if err != nil {
		return "", err
	}
	seen := make(map[string]*stream)
	for _, r := range field {
		seen[r.name] = &stream{}
	}
	for range b.rounds {
		for _, i := range b.draw.Perm(len(field)) {
			r := field[i]
			if err := b.fetch(ctx, r, seen[r.name]); err != nil {
				return "", fmt.Errorf("%s: download: %w", r.title, err)
			}
			if err := follow(ctx, r, seen[r.name]); err != nil {
				return "", fmt.Errorf("%s: events: %w", r.title, err)
			}
		}
	}
	t := newTable("contestant", "memory growth, MiB", "download, s", "× floor", "event p50, µs", "× floor", "event p99, µs")
	floor := seen[bareName]
	for _, r := range field {
		s := seen[r.name]
		title := r.title
		if r.charge != "" {
			title += ", hold and capture, " + storeTitle(strings.TrimPrefix(r.name, "charge-"))
		}
		t.add(title, s.growth.format("%.1f"), s.took.format("%.2f"), s.took.over(floor.took).format("%.2f"),
			s.p50.format("%.0f"), s.p50.over(floor.p50).format("%.2f"), s.p99.format("%.0f"))
	}
	return fmt.Sprintf("A download of %.0f MiB, and %d server-sent events, one every 5 ms: from the moment that the upstream writes one to the\nmoment that the client has it.\n\nFloor: bare Caddy.\n\n%s", mebibytes(b.download), ticks, t), nil
}

// get asks for a page below the charged path, as the first account.
func get(ctx context.Context, r *running, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-User", account(0))
	response, err := http.DefaultClient.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, fmt.Errorf("status %s", response.Status)
	}
	return response, err
}

func (b *bench) fetch(ctx context.Context, r *running, s *stream) error {
	if err := r.process.ResetPeak(); err != nil {
		return err
	}
	before, err := r.process.Memory()
	if err != nil {
		return err
	}
	began := time.Now()
	response, err := get(ctx, r, "/api/download?bytes="+strconv.FormatInt(b.download, 10))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch n, err := io.Copy(io.Discard, response.Body); {
	case err != nil:
		return err
	case n != b.download:
		return fmt.Errorf("%d bytes instead of %d", n, b.download)
	}
	s.took = append(s.took, time.Since(began).Seconds())
	peak, err := r.process.Peak()
	s.growth = append(s.growth, mebibytes(peak-before))
	return err
}

func follow(ctx context.Context, r *running, s *stream) error {
	response, err := get(ctx, r, "/api/ticks?count="+strconv.Itoa(ticks))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var delays series
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		sent, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		delays = append(delays, micros(time.Duration(time.Now().UnixNano()-sent)))
	}
	if len(delays) != ticks {
		return fmt.Errorf("%d events instead of %d", len(delays), ticks)
	}
	delays = delays.sorted()
	s.p50 = append(s.p50, delays[ticks/2])
	s.p99 = append(s.p99, delays[ticks*99/100])
	return nil
}
