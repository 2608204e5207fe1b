package rig_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/dodogate/dodogate/bench/rig"
)

func TestRedisCountsItsTraffic(t *testing.T) {
	r, err := rig.StartRedis("redis", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	work := func() {
		for i := range 7 {
			if err := r.Client.Set(t.Context(), fmt.Sprint(i), i, 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		pipe := r.Client.Pipeline() // one round trip
		for range 3 {
			pipe.Get(t.Context(), "1")
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	work() // opens the connections
	before, err := r.Traffic(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	work()
	after, err := r.Traffic(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	since := after.Since(before)
	if since.Calls["set"] != 7 || since.Calls["get"] != 3 || len(since.Calls) != 2 || since.Reads != 8 {
		t.Errorf("%+v, want 7 set, 3 get and 8 reads", since)
	}
}

func TestProcessTime(t *testing.T) {
	r, err := rig.StartRedis("redis", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	before, err := r.CPU()
	if err != nil {
		t.Skip(err)
	}
	const script = "local n = 0 for i = 1, 3000000 do n = n + i end return n"
	if err := r.Client.Eval(t.Context(), script, nil).Err(); err != nil {
		t.Fatal(err)
	}
	after, err := r.CPU()
	if err != nil {
		t.Fatal(err)
	}
	if after-before <= 1_000_000 || before <= 0 {
		t.Errorf("three million additions took from %v to %v", before, after)
	}
	if err := r.ResetPeak(); err != nil {
		t.Fatal(err)
	}
	const add = 64 << 20
	if err := r.Client.Do(t.Context(), "SETRANGE", "big", add, "x").Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Client.Do(t.Context(), "BITCOUNT", "big").Err(); err != nil { // touches all of it
		t.Fatal(err)
	}
	peak, err := r.Peak()
	if err != nil {
		t.Fatal(err)
	}
	if peak < add {
		t.Errorf("peak is %d with a value of %d", peak, add)
	}
}

func TestWhatDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	never := func() error { return os.ErrNotExist }
	if _, err := rig.Start(rig.Spec{Name: "false", Bin: "/bin/false", Dir: dir, Ready: never}); err == nil {
		t.Error("a process that ends at once is said to run")
	}
}
