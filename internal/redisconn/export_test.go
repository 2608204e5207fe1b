package redisconn

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// NewBatch returns a Batch. The timeout is that of each batch.
func NewBatch(client redis.UniversalClient, timeout time.Duration) *Batch {
	return newBatch(client, timeout, newSilence(nil))
}

// Close is [Batch.close].
func (b *Batch) Close() { b.close() }

// Judge is the verdict on an error that a server replies with.
func Judge(text string) string {
	return [...]string{"works", "forbidden command", "forbidden key", "forbidden channel", "unknown command", "unavailable"}[judgeText(text)]
}
