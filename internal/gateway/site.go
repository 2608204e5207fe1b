package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// Several stores may share one business at Dodo: of staging and production, or of two
// apps with one API key. Each of them hears of every payment, and account 42 of one is
// somebody else than account 42 of the other. So every store has a site, made once and
// kept in it, and every order's proof names the site that made it. What was ordered at
// another site is foreign: it is counted, and left alone.

// Names of notes in the store.
const (
	noteSite        = "site"
	noteBusiness    = "business"
	noteEnvironment = "environment"
)

// unnamedSite stands for a site that an old proof does not name.
const unnamedSite = "unnamed"

// ErrOtherSite says that the config names another site than the one that the store is
// of, or that the store's own has changed under us.
var ErrOtherSite = errors.New("the store belongs to another site")

// siteIdentity knows which site the store is of, and whether facts are about objects of
// this site and this business.
type siteIdentity struct {
	config      config.SiteID
	environment dodo.Mode // "" is not checked
	businesses  []string
	store       store.Client
	prover      *dodo.Prover
	logger      *slog.Logger

	known         atomic.Pointer[string] // the site of the store, once it was read
	firstBusiness atomic.Pointer[string] // once it was read
}

func newSiteIdentity(o Options) *siteIdentity {
	return &siteIdentity{
		config: o.SiteID, environment: o.Environment, businesses: o.Businesses, store: store.Client{Store: o.Store},
		prover: o.Prover, logger: o.Logger,
	}
}

// own is the site of the store. The first call also checks the store's environment.
func (s *siteIdentity) own(ctx context.Context) (string, error) {
	if own := s.known.Load(); own != nil {
		return *own, nil
	}
	before, err := s.store.Note(ctx, noteSite, "", "")
	fresh, own := newSite(), before
	if err == nil && before == "" {
		own, err = s.store.Note(ctx, noteSite, "", cmp.Or(s.config.ID, fresh))
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("read site: %w", err)
	case s.config.ID != "" && s.config.ID != own:
		return "", fmt.Errorf("%w: %w: its site is %s, and the config says site %s; name the store that had this site, or an empty one, or write: site %s",
			store.ErrUnavailable, ErrOtherSite, own, s.config.ID, own)
	case slices.Contains(s.config.Also, own):
		return "", fmt.Errorf("%w: %w: its site is %s, which the config names among those of stores that are lost",
			store.ErrUnavailable, ErrOtherSite, own)
	}
	if err := s.checkEnvironment(ctx, before == ""); err != nil {
		return "", err
	}
	switch first := s.known.CompareAndSwap(nil, &own); {
	case first && before == "" && own == s.config.ID:
		s.logger.Warn("the store is empty, although the config names its site; unless this is the first start, the store was lost: restore a backup, or run `dodogate dodo rebuild`",
			"site", own)
	case first && own == fresh:
		s.logger.Warn("the store was given a site of its own; write it into the config, so that the store can be given it back when it is lost",
			"site", own)
	}
	return own, nil
}

// keep gives a store that was emptied while we ran its site and environment back.
func (s *siteIdentity) keep(ctx context.Context) error {
	own, err := s.own(ctx)
	if err != nil {
		return err
	}
	kept, err := s.store.Note(ctx, noteSite, "", "")
	if err == nil && kept == "" {
		s.logger.Error("the store was emptied while this gateway ran; what it had is lost: restore a backup, or run `dodogate dodo rebuild`", "site", own)
		kept, err = s.store.Note(ctx, noteSite, "", own)
	}
	if err == nil && kept != own {
		err = fmt.Errorf("%w: it was %s and is %s now", ErrOtherSite, own, kept)
	}
	if err != nil {
		return err
	}
	if err = s.checkEnvironment(ctx, true); errors.Is(err, ErrOtherEnvironment) {
		s.known.Store(nil) // nothing is served from another store that took its place
	}
	return err
}

func newSite() string {
	var b [9]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return "site_" + base64.RawURLEncoding.EncodeToString(b[:])
}

// claimed is what a fact's metadata proves.
type claimed struct {
	dodo.Claim
	ours    bool // the order was made here
	foreign bool // it was made at another site
}

// claim reads the proof of a fact. One of a release that named no site counts if the
// order is known here, which it is for as long as it can be paid, and for ever once it
// is; and else only where the config says so.
func (s *siteIdentity) claim(ctx context.Context, metadata map[string]string) (claimed, error) {
	c, proven := s.prover.Claim(metadata)
	if !proven {
		return claimed{}, nil
	}
	own, err := s.own(ctx)
	if err != nil {
		return claimed{}, err
	}
	ours := s.config.Has(own, c.Site)
	if !ours && c.Site == "" {
		_, err := s.store.Order(ctx, c.Account, c.Order)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return claimed{}, err
		}
		ours = err == nil
	}
	return claimed{Claim: c, ours: ours, foreign: !ours}, nil
}

// foreignRef is where it is noted that an object is another site's. A refund, a dispute and
// some charges of it have no metadata that could say so.
func foreignRef(ref entitlement.Ref) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindForeign, ID: ref.String()}
}

// noteForeign remembers that an object is another site's.
func (s *siteIdentity) noteForeign(ctx context.Context, ref entitlement.Ref, site string) error {
	_, err := s.store.Claim(ctx, foreignRef(ref), cmp.Or(site, unnamedSite))
	return err
}

// isForeign reports whether an object, or the one that it was made for, is noted as
// another site's.
func (s *siteIdentity) isForeign(ctx context.Context, fact dodo.Fact) (bool, error) {
	refs := []entitlement.Ref{fact.Ref}
	for _, clue := range clueRefs(fact.Clues) {
		if clue != fact.Ref && (clue.Kind == entitlement.KindSubscription || clue.Kind == entitlement.KindPayment) {
			refs = append(refs, clue)
		}
	}
	for _, ref := range refs {
		site, err := s.store.Owner(ctx, foreignRef(ref))
		if err != nil {
			return false, err
		}
		adopted := slices.Contains(s.config.Also, site) || site == unnamedSite && s.config.Unnamed
		if site != "" && !adopted {
			return true, nil
		}
	}
	return false, nil
}

// ofOtherBusiness reports whether a fact is about another business at Dodo than ours: one
// that the config does not name or, if it names none, another than the first one that was seen.
func (s *siteIdentity) ofOtherBusiness(ctx context.Context, fact dodo.Fact) (bool, error) {
	if fact.Business == "" {
		return false, nil
	}
	if len(s.businesses) > 0 {
		return !slices.Contains(s.businesses, fact.Business), nil
	}
	known := s.firstBusiness.Load()
	if known == nil {
		first, err := s.store.Note(ctx, noteBusiness, "", fact.Business)
		if err != nil {
			return false, fmt.Errorf("read business: %w", err)
		}
		known = &first
		s.firstBusiness.Store(known)
	}
	return *known != fact.Business, nil
}
