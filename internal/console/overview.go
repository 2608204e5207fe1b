package console

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"time"
)

// overviewPage is the data of overview.html.
type overviewPage struct {
	Health []health
	Parked int  // events
	More   bool // there are more of them
	Passes []Pass
}

// health is a thing that can be well or not.
type health struct {
	Name string
	Well bool
	Said string
}

const pingTime = 2 * time.Second

func showOverview(r *request) (view, error) {
	p := overviewPage{Passes: r.Passes}
	ctx, cancel := context.WithTimeout(r.Context(), pingTime)
	defer cancel()
	err := r.Store.Ping(ctx)
	p.Health = append(p.Health, health{"Store", err == nil, said(err, "It answers.")})
	if err == nil {
		events, next, err := r.Events.ParkedEvents(ctx, "", maxEvents)
		p.Parked, p.More = len(events), next != ""
		waiting := "Nothing is parked."
		if p.Parked > 0 {
			waiting = "Events wait for a decision."
		}
		p.Health = append(p.Health, health{"Events", err == nil && p.Parked == 0, said(err, waiting)})
	}
	p.Health = append(p.Health, lastPass(r.Passes))
	return view{Title: "dodogate", page: "overview.html", Data: p}, nil
}

func said(err error, well string) string {
	if err != nil {
		return err.Error()
	}
	return well
}

// lastPass says how the newest pass ended that has ended.
func lastPass(passes []Pass) health {
	for _, pass := range passes {
		if pass.EndedAt.IsZero() {
			continue
		}
		if pass.Error != "" {
			return health{"Reconciling with Dodo", false, "The last pass failed: " + pass.Error}
		}
		return health{"Reconciling with Dodo", true, "The last pass ended at " + showTime(pass.EndedAt) + "."}
	}
	return health{"Reconciling with Dodo", true, "No pass has ended since the start."}
}

// accountsPage is the data of accounts.html.
type accountsPage struct {
	Accounts []string
	Next     string // address of the page that follows; empty: there is none
}

func listAccounts(r *request) (view, error) {
	after, err := base64.RawURLEncoding.DecodeString(r.input.Get("after"))
	if err != nil {
		return view{}, fmt.Errorf("%w: after must be from a link of the console", errInput)
	}
	ids, next, err := r.Store.AccountIDs(r.Context(), string(after), maxRows)
	if err != nil {
		return view{}, fmt.Errorf("list the accounts: %w", err)
	}
	p := accountsPage{Accounts: ids}
	if next != "" {
		p.Next = Pages + "accounts?" + url.Values{"after": {base64.RawURLEncoding.EncodeToString([]byte(next))}}.Encode()
	}
	return view{Title: "Accounts", page: "accounts.html", Data: p}, nil
}
