package entitlement_test

import (
	"testing"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
)

func TestRequirement(t *testing.T) {
	nothing := entitlement.Snapshot{Plan: entitlement.NoPlan}
	payer := entitlement.Snapshot{Plan: entitlement.NoPlan, HasPaid: true}
	pro := having(noon, until("pro", day))
	both := having(noon, until("team", day), until("basic", 365*day))
	features := entitlement.Snapshot{Plan: entitlement.NoPlan, Features: []string{"Api", "reports"}}
	for name, tt := range map[string]struct {
		requirement entitlement.Requirement
		snapshot    entitlement.Snapshot
		want        bool
	}{
		"paid of a payer":              {entitlement.Requirement{Paid: true}, payer, true},
		"paid of somebody else":        {entitlement.Requirement{Paid: true}, nothing, false},
		"the plan":                     {entitlement.Requirement{Plans: []string{"pro"}}, pro, true},
		"one of the plans":             {entitlement.Requirement{Plans: []string{"team", "pro"}}, pro, true},
		"another plan":                 {entitlement.Requirement{Plans: []string{"team"}}, pro, false},
		"a plan in other case":         {entitlement.Requirement{Plans: []string{"Pro"}}, pro, false},
		"no plan":                      {entitlement.Requirement{Plans: []string{"pro"}}, payer, false},
		"no plan is no plan's name":    {entitlement.Requirement{Plans: []string{entitlement.NoPlan}}, payer, false},
		"the lower of two plans":       {entitlement.Requirement{Plans: []string{"basic"}}, both, true},
		"the higher of two plans":      {entitlement.Requirement{Plans: []string{"pro", "team"}}, both, true},
		"neither of two plans":         {entitlement.Requirement{Plans: []string{"pro", "none"}}, both, false},
		"the feature":                  {entitlement.Requirement{Features: []string{"reports"}}, features, true},
		"one of the features":          {entitlement.Requirement{Features: []string{"export", "Api"}}, features, true},
		"another feature":              {entitlement.Requirement{Features: []string{"export"}}, features, false},
		"a feature in other case":      {entitlement.Requirement{Features: []string{"api"}}, features, false},
		"a feature by a plan's name":   {entitlement.Requirement{Features: []string{"team"}}, both, false},
		"a plan by a feature's name":   {entitlement.Requirement{Plans: []string{"reports"}}, features, false},
		"exactly enough credits":       {entitlement.Requirement{Credits: 5}, entitlement.Snapshot{Credits: 5}, true},
		"one credit short":             {entitlement.Requirement{Credits: 5}, entitlement.Snapshot{Credits: 4, HasPaid: true}, false},
		"a requirement without a word": {entitlement.Requirement{}, pro, false},
		"less than no credits":         {entitlement.Requirement{Credits: -1}, pro, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.requirement.MetBy(tt.snapshot); got != tt.want {
				t.Errorf("%+v by %+v: %v", tt.requirement, tt.snapshot, got)
			}
		})
	}
}

// TestPiecesInDebt: the debt is bought too, and of monthly credits only one piece is bought.
func TestPiecesInDebt(t *testing.T) {
	monthly := config.Product{Credits: 10, CreditsEvery: "month"}
	for _, tt := range []struct {
		product         config.Product
		need, has, owes int64
		want            int64
	}{
		{config.Product{Credits: 10}, 10, 0, 0, 1}, {config.Product{Credits: 10}, 10, 0, 1, 2}, {config.Product{Credits: 10}, 1, 0, 9, 1},
		{config.Product{Credits: 10}, 1, 0, 10, 2}, {config.Product{Credits: 10}, 1, 0, config.MaxCredits, 0},
		{monthly, 10, 0, 0, 1}, {monthly, 11, 0, 0, 0}, {monthly, 10, 0, 1, 0},
	} {
		has := entitlement.Snapshot{Credits: tt.has, Debt: tt.owes, Plan: entitlement.NoPlan}
		if got := (entitlement.Requirement{Credits: tt.need}).Pieces(tt.product, nil, has); got != tt.want {
			t.Errorf("%d of %+v for %d credits, with a debt of %d; want %d", got, tt.product, tt.need, tt.owes, tt.want)
		}
	}
}

func TestPieces(t *testing.T) {
	pack := config.Product{Credits: 10}
	pro := config.Product{Plan: "pro", Credits: 500}
	paid := entitlement.Requirement{Paid: true}
	plans := entitlement.Requirement{Plans: []string{"team", "pro"}}
	credits := func(n int64) entitlement.Requirement { return entitlement.Requirement{Credits: n} }
	for name, tt := range map[string]struct {
		requirement entitlement.Requirement
		product     config.Product
		has         int64
		want        int64
	}{
		"anything is a payment":         {paid, pack, 0, 1},
		"a plan too":                    {paid, pro, 0, 1},
		"the plan":                      {plans, pro, 0, 1},
		"no plan":                       {plans, pack, 0, 0},
		"the feature":                   {entitlement.Requirement{Features: []string{"api", "export"}}, pack, 0, 1},
		"another feature":               {entitlement.Requirement{Features: []string{"api"}}, pro, 0, 0},
		"one pack":                      {credits(10), pack, 0, 1},
		"two packs":                     {credits(11), pack, 0, 2},
		"what is there counts":          {credits(11), pack, 1, 1},
		"enough by now":                 {credits(5), pack, 5, 1},
		"as many as a checkout takes":   {credits(10 * config.MaxQuantity), pack, 0, config.MaxQuantity},
		"one more":                      {credits(10*config.MaxQuantity + 1), pack, 0, 0},
		"the most there is":             {credits(config.MaxCredits), pack, 0, 0},
		"credits of a plan":             {credits(500), pro, 0, 1},
		"a plan is not bought twice":    {credits(501), pro, 0, 0},
		"credits of what gives none":    {credits(1), config.Product{Plan: "pro"}, 0, 0},
		"a requirement without a word":  {entitlement.Requirement{}, pack, 0, 0},
		"the plan of a credits product": {entitlement.Requirement{Plans: []string{""}}, pack, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.requirement.Pieces(tt.product, []string{"reports", "export"}, entitlement.Snapshot{Credits: tt.has, Plan: entitlement.NoPlan}); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}
