package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Batch is what sends the commands of many callers together.
type Batch struct{ b *batch }

// NewBatch makes one whose every batch has so long.
func NewBatch(client redis.UniversalClient, timeout time.Duration) Batch {
	return Batch{newBatch(client, timeout)}
}

// Do is [batch.do].
func (b Batch) Do(ctx context.Context, ask func(context.Context, redis.Pipeliner)) error {
	return b.b.do(ctx, ask)
}

// Close is [batch.close].
func (b Batch) Close() { b.b.close() }
