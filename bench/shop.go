package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"

	"github.com/redis/go-redis/v9"
)

// keepingShop is a bare checkout handler that survives its own end: it notes the
// order in Redis before it asks the provider, and the session after. It neither
// asks who is there, nor for how many orders are open, nor for a key.
func keepingShop(provider, server string) http.Handler {
	const connections = 64 // as many as a gateway has
	orders := redis.NewClient(&redis.Options{Addr: server, PoolSize: connections})
	client := pooledClient()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := keep(r, orders, client, provider)
		sold(w, answer, err)
	})
}

// sold answers with what a shop sold.
func sold(w http.ResponseWriter, answer []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(answer)
}

func keep(r *http.Request, orders *redis.Client, client *http.Client, provider string) ([]byte, error) {
	ctx := context.WithoutCancel(r.Context()) // what is begun is finished
	if err := readWish(r); err != nil {
		return nil, err
	}
	order := "order:" + rand.Text()
	if err := orders.HSet(ctx, order, "account", r.Header.Get("X-User"), "product", productName, "state", "open").Err(); err != nil {
		return nil, err
	}
	answer, err := buy(ctx, client, provider)
	if err != nil {
		return nil, err
	}
	var session struct {
		ID  string `json:"session_id"`
		URL string `json:"checkout_url"`
	}
	if err := json.Unmarshal(answer, &session); err != nil {
		return nil, err
	}
	if err := orders.HSet(ctx, order, "session", session.ID, "url", session.URL).Err(); err != nil {
		return nil, err
	}
	return json.Marshal(session)
}
