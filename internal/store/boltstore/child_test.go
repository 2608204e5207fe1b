package boltstore_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// childEnv names what a re-executed test binary does instead of testing.
const childEnv = "DODOGATE_BOLTSTORE_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		if err := children[name](os.Args[1]); err != nil {
			fmt.Println(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

var children = map[string]func(path string) error{
	// open only opens the file.
	"open": func(path string) error {
		s, err := dial(path, boltstore.Options{})
		if err != nil {
			return err
		}
		return s.Close()
	},
	// hold keeps the file open until it is killed.
	"hold": func(path string) error {
		if _, err := dial(path, boltstore.Options{}); err != nil {
			return err
		}
		fmt.Println("open")
		select {}
	},
	"load":     load,
	"spend":    spend,
	"full":     full,
	"truncate": truncate,
}

// load writes as fast as it can and says what was acknowledged, until it is
// killed: "commit account n" and "event id".
func load(path string) error {
	s, err := dial(path, boltstore.Options{})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			account := fmt.Sprint("acc_", worker%4)
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d_%d_%d", os.Getpid(), worker, i)
				if err := giveObject(context.Background(), s, account, id); err != nil {
					fmt.Println("error", err)
					return
				}
				fmt.Printf("commit %s %s\n", account, id)
				if _, err := s.Record(context.Background(), book.Event{ID: id, Type: "t", Body: []byte(id)}); err != nil {
					fmt.Println("error", err)
					return
				}
				fmt.Printf("event %s\n", id)
			}
		})
	}
	all.Wait()
	return nil
}

// full writes until the system refuses to let the file grow, then lets it, and
// says how the store takes it.
func full(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := dial(path, boltstore.Options{})
	if err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	free := limit
	limit.Cur = 1 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	ctx := context.Background()
	done := 0
	for ; ; done++ {
		_, err = s.Record(ctx, book.Event{ID: strconv.Itoa(done), Body: make([]byte, 10_000)})
		if err != nil {
			break
		}
	}
	fmt.Println("recorded", done)
	fmt.Println("first error:", err)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &free); err != nil {
		return err
	}
	begin := time.Now()
	_, err = s.Record(ctx, book.Event{ID: "small"})
	fmt.Println("second error:", err)
	fmt.Println("commit:", giveObject(ctx, s, "acc", "pay"))
	fmt.Println("at once:", time.Since(begin) < 100*time.Millisecond)
	fmt.Println("ping:", s.Ping(ctx))
	_, err = s.Event(ctx, strconv.Itoa(done-1))
	fmt.Println("read:", err)
	fmt.Println("close:", s.Close())
	return nil
}

// truncate cuts the file of an open store and says how the store takes it.
func truncate(path string) error {
	var log bytes.Buffer
	s, err := dial(path, boltstore.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		return err
	}
	size, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil {
		return err
	}
	if err := os.Truncate(path, size); err != nil {
		return err
	}
	ctx := context.Background()
	_, err = s.Entries(ctx, "acc", store.Page{After: 0, Limit: 1000})
	fmt.Println("read:", err)
	fmt.Println("write:", giveObject(ctx, s, "acc", "pay"))
	_, err = s.Entries(ctx, "acc", store.Page{After: 0, Limit: 1000})
	fmt.Println("read again:", err)
	fmt.Println("ping:", s.Ping(ctx))
	fmt.Println("close:", s.Close())
	fmt.Println("log:", strings.Contains(log.String(), path))
	return nil
}

// give commits one credit for the n-th object of an account.
func give(ctx context.Context, s *opened, account string, n int) error {
	return giveObject(ctx, s, account, strconv.Itoa(n))
}

func giveObject(ctx context.Context, s *opened, account, id string) error {
	_, err := s.Commit(ctx, book.Commit{
		Account: account, Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: id}, Cause: id, State: []byte(`{"id":"` + id + `"}`),
		Effect: entitlement.Effect{Grants: []ledger.Target{{ID: id, Amount: 1}}},
	})
	return err
}

// entries reads a whole ledger and checks that it has no gap and adds up.
func entries(t *testing.T, s *opened, account string) []ledger.Entry {
	t.Helper()
	var all []ledger.Entry
	for {
		page, err := s.Entries(t.Context(), account, store.Page{After: int64(len(all)), Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
	}
	var balance int64
	for i, e := range all {
		if balance += e.Amount; e.Seq != int64(i+1) || e.Balance != balance {
			t.Fatalf("entry %d of %s is %+v, the amounts add up to %d", i+1, account, e, balance)
		}
	}
	a, err := s.Account(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	if a.Ledger.Seq != int64(len(all)) || a.Ledger.Available(time.Now()) != balance {
		t.Fatalf("account %s has seq %d and balance %d, its %d entries add up to %d",
			account, a.Ledger.Seq, a.Ledger.Available(time.Now()), len(all), balance)
	}
	return all
}

func childCommand(binary, what, path string) *exec.Cmd {
	cmd := exec.Command(binary, path)
	cmd.Env = append(os.Environ(), childEnv+"="+what)
	return cmd
}

// child is a running child and what it says.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	ended bool
}

func startChild(t *testing.T, what, path string) *child {
	t.Helper()
	cmd := childCommand(os.Args[0], what, path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: cmd, lines: bufio.NewScanner(out)}
	t.Cleanup(func() { c.kill(t) })
	return c
}

// line waits for the next line of the child.
func (c *child) line(t *testing.T) string {
	t.Helper()
	if !c.lines.Scan() {
		t.Fatal("the child ended:", c.lines.Err())
	}
	return c.lines.Text()
}

// kill kills the child and returns what it said until then.
func (c *child) kill(t *testing.T) []string {
	t.Helper()
	if c.ended {
		return nil
	}
	c.ended = true
	if err := c.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	var said []string
	for c.lines.Scan() {
		said = append(said, c.lines.Text())
	}
	_ = c.cmd.Wait()
	return said
}
