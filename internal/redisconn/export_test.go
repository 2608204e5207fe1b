package redisconn

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Batch sends the commands of many callers together.
type Batch struct{ b *batch }

// NewBatch returns a Batch. The timeout is that of each batch.
func NewBatch(client redis.UniversalClient, timeout time.Duration) Batch {
	return Batch{newBatch(client, timeout)}
}

// Do is [batch.do].
func (b Batch) Do(ctx context.Context, add func(context.Context, redis.Pipeliner)) error {
	return b.b.do(ctx, add)
}

// Close is [batch.close].
func (b Batch) Close() { b.b.close() }

// Judge is the verdict on an error that a server replies with.
func Judge(text string) string {
	return [...]string{"works", "forbidden command", "forbidden key", "forbidden channel", "unknown command", "unavailable"}[judgeText(text)]
}
