package dodosim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// transport answers webhooks without a network, so that a bubble's time can pass.
type transport func(*http.Request) (int, error)

func (answer transport) RoundTrip(r *http.Request) (*http.Response, error) {
	status, err := answer(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Header: http.Header{"Location": {"/elsewhere"}}, Request: r}, nil
}

// bubble opens a shop without any network. It has to be closed inside.
func bubble(t *testing.T, answer transport) *shop {
	o := options()
	o.WebhookURL, o.WebhookSecret = "https://shop.example/webhook?token=hidden", secret
	o.HTTPClient = &http.Client{Transport: answer}
	return &shop{t: t, sim: start(t, o)}
}

// TestRetryTable sees each of the 8 attempts at its time and not a nanosecond before, under
// a clock that the test turns.
func TestRetryTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := bubble(t, func(*http.Request) (int, error) { return http.StatusInternalServerError, nil })
		verifier, _ := standardwebhooks.NewWebhook(secret)
		began := time.Now()
		paid := shop.pay(shop.checkoutDirectly(onePack))
		for i, wait := range []time.Duration{
			0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour,
		} {
			if wait > 0 {
				time.Sleep(wait - time.Nanosecond)
				synctest.Wait()
				if got := len(shop.sim.Deliveries()); got != i {
					t.Fatalf("%d attempts before the wait of attempt %d is over", got, i+1)
				}
				time.Sleep(time.Nanosecond)
			}
			synctest.Wait()
			deliveries := shop.sim.Deliveries()
			if len(deliveries) != i+1 {
				t.Fatalf("%d attempts, wanted %d", len(deliveries), i+1)
			}
			d := deliveries[i]
			t.Logf("attempt %d, %v after the first, with a signature of then", d.Attempt, time.Since(began))
			if d.Attempt != i+1 || d.Status != 500 || d.WebhookID != deliveries[0].WebhookID || !d.At.Equal(time.Now()) {
				t.Errorf("attempt %d: %+v", i+1, d)
			}
			if d.Header.Get("webhook-timestamp") != strconv.FormatInt(time.Now().Unix(), 10) {
				t.Error("the timestamp is not the attempt's")
			}
			if err := verifier.Verify(d.Body, d.Header); err != nil { // within 5 minutes of now
				t.Error(err)
			}
		}
		if took := time.Since(began); took != 27*time.Hour+35*time.Minute+5*time.Second {
			t.Error("took", took)
		}
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		event := shop.sim.Events()[0]
		if event.State != dodosim.EventFailed || event.Attempts != 8 || event.ObjectID != paid.PaymentID {
			t.Errorf("%+v", event)
		}
		if !regexp.MustCompile(`^msg_[0-9A-Za-z]{21}$`).MatchString(event.ID) {
			t.Error(event.ID)
		}
	})
}

func TestWhatCountsAsDelivered(t *testing.T) {
	for status, delivered := range map[int]bool{200: true, 201: true, 204: true, 299: true,
		300: false, 301: false, 302: false, 303: false, 307: false, 308: false, 400: false, 404: false, 410: false, 500: false} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := bubble(t, func(r *http.Request) (int, error) {
					if r.URL.Path != "/webhook" {
						t.Error("a redirect was followed")
					}
					return status, nil
				})
				shop.pay(shop.checkoutDirectly(onePack))
				time.Sleep(time.Minute)
				event := shop.sim.Events()[0]
				if (event.State == dodosim.EventDelivered) != delivered || (event.Attempts == 1) != delivered {
					t.Errorf("%+v", event)
				}
				_ = shop.sim.Close()
			})
		})
	}
}

func TestAttemptTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := bubble(t, func(r *http.Request) (int, error) {
			<-r.Context().Done()
			return 0, r.Context().Err()
		})
		shop.pay(shop.checkoutDirectly(onePack))
		time.Sleep(15*time.Second - time.Nanosecond)
		synctest.Wait()
		if got := len(shop.sim.Deliveries()); got != 0 {
			t.Error("gave up early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		deliveries := shop.sim.Deliveries()
		if len(deliveries) != 1 || deliveries[0].Status != 0 || !errors.Is(deliveries[0].Err, context.DeadlineExceeded) {
			t.Errorf("%+v", deliveries)
		}
		if strings.Contains(deliveries[0].Err.Error(), "hidden") {
			t.Error("the URL's token is in the error")
		}
		_ = shop.sim.Close()
	})
}

// A slow receiver holds up neither the customer nor, up to the bound, other events; and
// Close does not wait for it.
func TestDeliveryIsBoundedAndInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flying, most atomic.Int32
		shop := bubble(t, func(r *http.Request) (int, error) {
			most.Store(max(most.Load(), flying.Add(1)))
			defer flying.Add(-1)
			<-r.Context().Done()
			return 0, r.Context().Err()
		})
		for range 50 {
			shop.pay(shop.checkoutDirectly(onePack))
		}
		synctest.Wait()
		if got := flying.Load(); got != 8 {
			t.Error(got, "on the wire")
		}
		began := time.Now()
		if err := shop.sim.Close(); err != nil || time.Since(began) != 0 {
			t.Error("Close took", time.Since(began), err)
		}
		if most.Load() > 8 {
			t.Error(most.Load(), "at a time")
		}
		shop.pay(shop.checkoutDirectly(onePack))
		for _, event := range shop.sim.Events() {
			if event.State != dodosim.EventUnsent {
				t.Fatalf("after Close: %+v", event)
			}
		}
	})
}

// The body is the state at delivery, the type and the time are the event's.
func TestBodyIsTheLatestState(t *testing.T) {
	shop := open(t, nil)
	shop.sim.HoldWebhooks(true)
	paid := shop.pay(shop.checkout(onePack))
	if _, err := shop.sim.Refund(paid.PaymentID, 100); err != nil {
		t.Fatal(err)
	}
	before := shop.payment(paid.PaymentID)
	shop.sim.HoldWebhooks(false)
	shop.flush()
	if got := shop.hooks.types(t); len(got) != 2 {
		t.Fatal(got)
	}
	for _, body := range shop.hooks.bodies() {
		var envelope struct {
			Type      string
			Timestamp time.Time
			Data      map[string]any
		}
		decode(t, body, &envelope)
		switch envelope.Type {
		case "payment.succeeded":
			if envelope.Data["refund_status"] != "partial" || len(envelope.Data["refunds"].([]any)) != 1 {
				t.Errorf("%s", body)
			}
			delete(envelope.Data, "payload_type")
			if fmt.Sprint(envelope.Data) != fmt.Sprint(before) {
				t.Errorf("the API says %v", before)
			}
			if !envelope.Timestamp.Equal(shop.sim.Events()[0].At) {
				t.Error("timestamp", envelope.Timestamp)
			}
		case "refund.succeeded":
			if envelope.Data["amount"] != 100.0 || envelope.Data["payment_id"] != paid.PaymentID {
				t.Errorf("%s", body)
			}
		}
	}
}

func TestHeldWebhooksInAnyOrder(t *testing.T) {
	shop, ctx := open(t, nil), t.Context()
	shop.sim.HoldWebhooks(true)
	paid := shop.pay(shop.checkout(onePack))
	if _, err := shop.sim.Refund(paid.PaymentID, 0); err != nil {
		t.Fatal(err)
	}
	shop.flush() // held ones are not waited for
	events := shop.sim.Events()
	if len(events) != 2 || len(shop.hooks.bodies()) != 0 {
		t.Fatal(events, shop.hooks.types(t))
	}
	for _, i := range []int{1, 0, 0} { // the refund first, the payment twice
		d, err := shop.sim.Redeliver(ctx, events[i].ID)
		if err != nil || !d.Acknowledged() || d.WebhookID != events[i].ID {
			t.Fatal(d, err)
		}
	}
	d, err := shop.sim.DeliverAs(ctx, events[0].ID, "msg_another")
	if err != nil || d.Header.Get("webhook-id") != "msg_another" || d.EventID != events[0].ID {
		t.Error(d, err)
	}
	wanted := "[refund.succeeded payment.succeeded payment.succeeded payment.succeeded]"
	if got := fmt.Sprint(shop.hooks.types(t)); got != wanted {
		t.Errorf("got %s, wanted %s", got, wanted)
	}
	if event := shop.sim.Events()[0]; event.State != dodosim.EventDelivered || event.Attempts != 3 {
		t.Errorf("%+v", event)
	}
	if _, err := shop.sim.Redeliver(ctx, "msg_no"); err == nil {
		t.Error("redelivered an unknown event")
	}
}

// An event that was taken by hand is not sent once more, neither on release nor by its
// retries.
func TestRedeliveredIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, sent := http.StatusOK, 0
		shop := bubble(t, func(*http.Request) (int, error) { sent++; return status, nil })
		redeliver := func(i int) {
			if _, err := shop.sim.Redeliver(t.Context(), shop.sim.Events()[i].ID); err != nil {
				t.Fatal(err)
			}
		}
		shop.sim.HoldWebhooks(true)
		shop.pay(shop.checkoutDirectly(onePack))
		redeliver(0)
		shop.sim.HoldWebhooks(false)
		synctest.Wait()
		if sent != 1 {
			t.Error("sent", sent, "times, wanted only by hand")
		}
		status = http.StatusInternalServerError
		shop.pay(shop.checkoutDirectly(onePack))
		synctest.Wait()
		status = http.StatusOK
		redeliver(1)
		time.Sleep(100 * time.Hour)
		if sent != 3 || shop.sim.Events()[1].State != dodosim.EventDelivered {
			t.Error("sent", sent, "times,", shop.sim.Events()[1])
		}
	})
}

// DeliverAs leaves the event to be delivered under its own id.
func TestDeliverAsIsNotDelivery(t *testing.T) {
	shop := open(t, nil)
	shop.sim.HoldWebhooks(true)
	shop.pay(shop.checkout(onePack))
	if _, err := shop.sim.DeliverAs(t.Context(), shop.sim.Events()[0].ID, "msg_another"); err != nil {
		t.Fatal(err)
	}
	if state := shop.sim.Events()[0].State; state != dodosim.EventPending {
		t.Error(state)
	}
}

func TestProcessingFirst(t *testing.T) {
	shop := open(t, func(o *dodosim.Options) { o.SendProcessing = true })
	shop.pay(shop.checkout(onePack))
	events := shop.sim.Events()
	if len(events) != 2 || events[0].Type != "payment.processing" || events[1].Type != "payment.succeeded" {
		t.Error(events)
	}
	shop.flush()
	if len(shop.hooks.bodies()) != 2 {
		t.Error(shop.hooks.types(t))
	}
}

func TestNoWebhookURL(t *testing.T) {
	shop := open(t, func(o *dodosim.Options) { o.WebhookURL, o.WebhookSecret = "", "" })
	shop.pay(shop.checkout(onePack))
	shop.flush()
	event := shop.sim.Events()[0]
	if event.State != dodosim.EventUnsent || event.Type != "payment.succeeded" {
		t.Error(event)
	}
	if _, err := shop.sim.Redeliver(t.Context(), event.ID); err == nil {
		t.Error("delivered to nowhere")
	}
}

// The log tells what happened, with nothing in it that must not be read by others.
func TestLogHasNoSecrets(t *testing.T) {
	var log bytes.Buffer
	o := options()
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.WebhookURL, o.WebhookSecret = "http://hidden.invalid/?token=hidden", secret
	o.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (int, error) { return 0, io.ErrUnexpectedEOF })}
	shop := &shop{t: t, sim: start(t, o)}
	shop.pay(shop.checkoutDirectly(with(`"customer":{"email":"ada@example.com","name":"Lovelace"},"metadata":{"a":"mine"}`)))
	shop.flush()
	_ = shop.sim.Close()
	for _, wanted := range []string{"checkout session created", "payment made", "webhook not delivered", "payment.succeeded"} {
		if !strings.Contains(log.String(), wanted) {
			t.Errorf("no %q in the log", wanted)
		}
	}
	for _, unwanted := range []string{key, secret[6:], "hidden", "ada@", "Lovelace", "mine"} {
		if strings.Contains(log.String(), unwanted) {
			t.Errorf("%q in the log", unwanted)
		}
	}
	var second bytes.Buffer
	shop.sim.SetLogger(slog.New(slog.NewTextHandler(&second, nil)))
	shop.checkoutDirectly(onePack)
	if !strings.Contains(second.String(), "checkout session created") {
		t.Error("SetLogger changed nothing")
	}
	shop.sim.SetLogger(nil)
	shop.checkoutDirectly(onePack)
}

// The injected clock and waits are the ones that count.
func TestInjectedTime(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("", 3600))
	waits, fire := make(chan time.Duration), make(chan time.Time)
	o := options()
	o.Clock = func() time.Time { return now }
	o.After = func(d time.Duration) <-chan time.Time { waits <- d; return fire }
	o.WebhookURL, o.WebhookSecret = "http://shop.example", secret
	o.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (int, error) { return 500, nil })}
	shop := &shop{t: t, sim: start(t, o)}
	shop.pay(shop.checkoutDirectly(onePack))
	for _, wanted := range []time.Duration{5 * time.Second, 5 * time.Minute} {
		if got := <-waits; got != wanted {
			t.Fatal("waits", got)
		}
		fire <- now
	}
	<-waits
	event := shop.sim.Events()[0]
	if event.Attempts != 3 || event.At.Format(time.RFC3339Nano) != "2030-01-02T02:04:05.678901Z" {
		t.Errorf("%+v", event)
	}
	if got := shop.sim.Deliveries()[2].Header.Get("webhook-timestamp"); got != strconv.FormatInt(now.Unix(), 10) {
		t.Error("timestamp", got)
	}
}

func TestReceiverNeedsNoMoreThanHTTP(t *testing.T) {
	// A receiver that answers more than anybody wants to read.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for r := 0; r < 1000; r++ {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	shop := open(t, func(o *dodosim.Options) { o.WebhookURL = server.URL })
	shop.pay(shop.checkout(onePack))
	shop.flush()
	if event := shop.sim.Events()[0]; event.State != dodosim.EventDelivered {
		t.Errorf("%+v", event)
	}
}

// What waits for delivery is bounded; what is beyond that has failed, visibly.
func TestTooManyUndelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := bubble(t, func(*http.Request) (int, error) { return 200, nil })
		shop.sim.HoldWebhooks(true)
		session := shop.checkoutDirectly(onePack)
		for range 10_001 {
			if _, err := shop.sim.Pay(session, dodosim.CardDeclined); err != nil {
				t.Fatal(err)
			}
		}
		events := shop.sim.Events()
		if events[9_999].State != dodosim.EventPending || events[10_000].State != dodosim.EventFailed {
			t.Error(events[9_999], events[10_000])
		}
		shop.sim.HoldWebhooks(false)
		synctest.Wait()
		if got := len(shop.sim.Deliveries()); got != 10_000 {
			t.Error(got, "delivered")
		}
		shop.pay(session) // there is room again
		synctest.Wait()
		if event := shop.sim.Events()[10_001]; event.State != dodosim.EventDelivered {
			t.Errorf("%+v", event)
		}
	})
}

// acknowledging takes every webhook, without a network.
var acknowledging = &http.Client{Transport: transport(func(*http.Request) (int, error) { return http.StatusOK, nil })}
