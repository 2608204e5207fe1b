package bytecache_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/bytecache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func key(n int) string { return fmt.Sprint("account ", n) }

// TestGrows: a cache that begins small keeps all values for which it may have room.
func TestGrows(t *testing.T) {
	c := bytecache.New(0)
	defer c.Close()
	const values = 50_000 // of 200 bytes
	value := make([]byte, 150)
	for n := range values {
		c.Set(key(n), binary.LittleEndian.AppendUint64(value[:0:len(value)], uint64(n))[:len(value)])
	}
	found := 0
	for n := range values {
		var buf [200]byte
		if got, ok := c.Get(key(n), buf[:]); ok {
			found++
			if len(got) != len(value) || binary.LittleEndian.Uint64(got) != uint64(n) {
				t.Fatalf("value %d is %v", n, got)
			}
		}
	}
	if found < values*9/10 { // a few are evicted before it grows
		t.Errorf("%d of %d values are remembered", found, values)
	}
}

// TestEvicts: a cache does not grow beyond its size.
func TestEvicts(t *testing.T) {
	c := bytecache.New(0)
	defer c.Close()
	value := make([]byte, 1000)
	const values = 3 * bytecache.Least / 1000
	for n := range values {
		c.Set(key(n), value)
	}
	found := 0
	for n := range values {
		if _, ok := c.Get(key(n), nil); ok {
			found++
		}
	}
	if found == 0 || found > values/3 {
		t.Errorf("%d of %d values are remembered, want some and at most a third", found, values)
	}
}

func TestLargeValues(t *testing.T) {
	c := bytecache.New(0)
	defer c.Close()
	for _, size := range []int{0, 1, 100, 10_000} {
		value := bytes.Repeat([]byte{7}, size)
		c.Set("large", value)
		if got, ok := c.Get("large", nil); !ok || !bytes.Equal(got, value) {
			t.Errorf("of %d bytes %d are remembered", size, len(got))
		}
	}
	c.Set("large", make([]byte, bytecache.Least/500))
	if _, ok := c.Get("large", nil); ok {
		t.Error("a value that is too large did not replace the one before")
	}
}

func TestDeleteAndClose(t *testing.T) {
	c := bytecache.New(0)
	c.Set("a", []byte("1"))
	c.Set("b", []byte("2"))
	c.Delete("a")
	if _, ok := c.Get("a", nil); ok {
		t.Error("a deleted value is remembered")
	}
	c.Close()
	c.Set("c", []byte("3"))
	c.Delete("c")
	for _, key := range []string{"b", "c"} {
		if _, ok := c.Get(key, nil); ok {
			t.Errorf("%s is remembered by a closed cache", key)
		}
	}
}

// TestLatestWhileGrowing: while values are moved to larger tables, each reader finds its latest
// value or none.
func TestLatestWhileGrowing(t *testing.T) {
	c := bytecache.New(0)
	defer c.Close()
	var writers sync.WaitGroup
	const own = 3000
	for writer := range 4 {
		writers.Go(func() {
			var latest [own]uint32
			value := make([]byte, 200)
			for change := range uint32(6 * own) {
				n := int(change*7) % own
				name := key(writer*own + n)
				var buf [256]byte
				if got, ok := c.Get(name, buf[:]); ok && binary.LittleEndian.Uint32(got) != latest[n] {
					t.Errorf("value %d is %d, want %d", n, binary.LittleEndian.Uint32(got), latest[n])
				}
				if change%5 == 4 {
					c.Delete(name)
					if _, ok := c.Get(name, buf[:]); ok {
						t.Errorf("value %d is there after it was deleted", n)
					}
					continue
				}
				latest[n] = change
				binary.LittleEndian.PutUint32(value, change)
				c.Set(name, value)
			}
		})
	}
	writers.Wait()
}

func BenchmarkGet(b *testing.B) {
	c := bytecache.New(0)
	defer c.Close()
	c.Set("account", make([]byte, 100))
	b.ReportAllocs()
	for b.Loop() {
		var buf [512]byte
		if _, ok := c.Get("account", buf[:]); !ok {
			b.Fatal("it is not remembered")
		}
	}
}

// TestRecord: a reader reads what was written.
func TestRecord(t *testing.T) {
	common := []string{"", "none", "active"}
	rapid.Check(t, func(t *rapid.T) {
		account := rapid.String().Draw(t, "account")
		numbers := rapid.SliceOf(rapid.Int64()).Draw(t, "numbers")
		texts := rapid.SliceOf(rapid.OneOf(rapid.SampledFrom([]string{"", "active", account, "x"}), rapid.String())).Draw(t, "texts")
		seconds := rapid.SliceOf(rapid.Int64Range(-1<<36, 1<<37)).Draw(t, "seconds")
		nanos := rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")
		var r bytecache.Record
		r.Refer(account)
		for _, n := range numbers {
			r.Int(n)
			r.Uint(uint64(n))
		}
		for _, text := range texts {
			r.Text(text, common)
		}
		r.Time(time.Time{})
		for _, s := range seconds {
			r.Time(time.Unix(s, nanos))
		}
		read := bytecache.Reader{Left: string(r.Padded())}
		read.Refer(account)
		for _, n := range numbers {
			if i, u := read.Int(), read.Uint(); i != n || u != uint64(n) {
				t.Fatalf("%d is read as %d and %d", n, i, u)
			}
		}
		var got []string
		for range texts {
			got = append(got, read.Text(common))
		}
		if !slices.Equal(got, texts) {
			t.Fatalf("%q is read as %q", texts, got)
		}
		if zero := read.Time(); !zero.IsZero() {
			t.Fatalf("no time is read as %v", zero)
		}
		for _, s := range seconds {
			if at := read.Time(); at != time.Unix(s, nanos).UTC() {
				t.Fatalf("%v is read as %v", time.Unix(s, nanos), at)
			}
		}
		if read.Bad || len(read.Left) >= 16 {
			t.Fatalf("bad: %v, %d bytes are left", read.Bad, len(read.Left))
		}
	})
}

// FuzzReader: a reader takes any bytes.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x03abc\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, record []byte) {
		r := bytecache.Reader{Left: string(record)}
		for range 10 {
			if n := r.Count(); n > len(r.Left) {
				t.Fatalf("it counts %d things in %d bytes", n, len(r.Left))
			}
			r.Text(nil)
			r.Time()
			r.Raw(r.Count())
			r.Int()
		}
	})
}
