package entitlement_test

import (
	"testing"

	"github.com/dodogate/dodogate/internal/entitlement"
)

func TestRequirement(t *testing.T) {
	nothing := entitlement.Snapshot{Plan: entitlement.NoPlan}
	payer := entitlement.Snapshot{Plan: entitlement.NoPlan, HasPaid: true}
	pro := entitlement.Snapshot{Plan: "pro", HasPaid: true}
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
