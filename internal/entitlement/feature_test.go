package entitlement_test

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
)

func TestFeatureEffect(t *testing.T) {
	ref := entitlement.Ref{Kind: entitlement.KindFeature, ID: "entg_1"}
	for status, has := range map[entitlement.FeatureStatus]bool{
		"": false, "pending": false, "failed": false, "delivered": true, "revoked": false, "novel": false,
	} {
		record := entitlement.Record{Feature: entitlement.Feature{At: noon, Status: status, Name: "reports"}}
		got, err := record.Effect(ref, entitlement.Record{}, config.DisputeFreeze)
		var want entitlement.Effect
		if has {
			want.Standing.Feature = "reports"
		}
		if err != nil || !reflect.DeepEqual(got, want) || got.Standing.IsZero() == has {
			t.Errorf("a grant that is %q gives %+v, %v", status, got, err)
		}
	}
}

// TestFeatureOfOneInstant: of two reports with the same time, the status decides.
func TestFeatureOfOneInstant(t *testing.T) {
	inOrder := []entitlement.FeatureStatus{"", "pending", "failed", "delivered", "revoked"}
	for i, before := range inOrder {
		for _, then := range inOrder[i:] {
			a, b := entitlement.Feature{At: noon, Status: before}, entitlement.Feature{At: noon, Status: then}
			if a.Merge(b) != b || b.Merge(a) != b {
				t.Errorf("%q at the time of %q wins", before, then)
			}
		}
	}
}

// TestFeatureMergeIsAJoin: order, grouping and repetition do not matter.
func TestFeatureMergeIsAJoin(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) entitlement.Feature {
		return entitlement.Feature{
			At:     noon.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "at"))),
			Status: rapid.SampledFrom([]entitlement.FeatureStatus{"pending", "delivered", "revoked", "novel", "other"}).Draw(t, "status"),
			Name:   rapid.SampledFrom([]string{"", "reports", "export"}).Draw(t, "name"),
		}
	})
	checkJoin(t, draw, entitlement.Feature.Merge)
}
