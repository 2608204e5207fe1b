package book

import (
	"errors"
	"time"
)

// Daily is a value that is kept under a name in a collection of a UTC day: a payment among the
// sales of 2026-11-30, for one. It is for statistics. Nothing is decided by it.
type Daily struct {
	Of    DailyKind
	Day   string // 2026-11-30
	Name  string
	Value string
}

// DailyKind is what a collection is about.
type DailyKind string

// The kinds.
const (
	DailySales   DailyKind = "sales"   // by Dodo's payment id
	DailyCredits DailyKind = "credits" // by the process that counted them
)

// DailyLife is how long after its day a collection is kept.
const DailyLife = 400 * 24 * time.Hour

// Ends is when the collection is removed.
func (d Daily) Ends() time.Time {
	day, _ := time.Parse(time.DateOnly, d.Day) // Check has refused what is none
	return day.Add(DailyLife)
}

var errDaily = errors.New("a daily value needs a day, a kind and a name")

// Check refuses a value that cannot be kept.
func (d Daily) Check() error {
	if _, err := time.Parse(time.DateOnly, d.Day); err != nil || d.Of == "" || d.Name == "" {
		return errDaily
	}
	return CheckNames(string(d.Of), d.Name, d.Value)
}

// Count keeps a daily value in place of the one with its name. Like a claim, it may be kept even
// if the decision is made again.
func (b *Book) Count(d Daily) error {
	if err := d.Check(); err != nil {
		return err
	}
	b.changes.Counts = append(b.changes.Counts, d)
	return nil
}
