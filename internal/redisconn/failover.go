package redisconn

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// newClient returns a client that does not connect yet.
func newClient(options *redis.UniversalOptions) redis.UniversalClient {
	client := redis.NewUniversalClient(options)
	if cluster, ok := client.(*redis.ClusterClient); ok {
		cluster.AddHook(clusterFailover{cluster})
	}
	return client
}

// clusterFailover is a hook that asks the Cluster again where its slots are when a node does not
// answer. By itself, go-redis asks only when a node answers that it is not the master, or after a
// minute: a master that died answers nothing, so its accounts would stay away for that long.
type clusterFailover struct{ cluster *redis.ClusterClient }

// DialHook implements [redis.Hook].
func (clusterFailover) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements [redis.Hook].
func (f clusterFailover) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		f.seen(ctx, err)
		return err
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (f clusterFailover) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if f.seen(ctx, cmd.Err()) {
				break
			}
		}
		return err
	}
}

// seen starts a reload in the background if err says that a node did not answer, and reports
// whether it does. go-redis makes at most five reloads a second.
func (f clusterFailover) seen(ctx context.Context, err error) bool {
	var reply redis.Error
	if err == nil || errors.As(err, &reply) || errors.Is(err, context.Canceled) {
		return false
	}
	f.cluster.ReloadState(ctx)
	return true
}
