package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Counts count calls in windows for all nodes together. It satisfies api/limit's Shared.
type Counts struct{ client *Client }

// NewCounts makes it.
func NewCounts(c *Client) *Counts { return &Counts{c} }

// count counts ARGV[3] calls in a window of ARGV[2] ms that began with its first call, unless they would be more than ARGV[1] with
// those before; fewer than 0 are given back, of those there are. It returns whether they were allowed, how many were counted, the ms until the
// window ends, and how many events there were on the bus (KEYS[2]). The server's clock is the only one, as a key that expires.
var count = redis.NewScript(`
local used, left = tonumber(redis.call('GET', KEYS[1]) or '0'), redis.call('PTTL', KEYS[1])
local quota, window, calls = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local told = tonumber(redis.call('GET', KEYS[2]) or '0')
if left <= 0 then used, left = 0, window end
if used + calls > quota then return {0, used, left, told} end
if calls < 0 then
	calls = -math.min(-calls, used)
	if calls < 0 then redis.call('INCRBY', KEYS[1], calls) end
elseif calls > 0 then
	if used == 0 then redis.call('SET', KEYS[1], calls, 'PX', window) else redis.call('INCRBY', KEYS[1], calls) end
end
return {1, used + calls, left, told}`)

// Count counts calls of key, which may be 0, in a window that began with the first of them, if that is within the quota; fewer
// than 0 are given back. used is what was counted in this window, ends when it does, told is for Bus.Heard.
func (c *Counts) Count(
	ctx context.Context, key string, calls, quota int, window time.Duration,
) (allowed bool, used int, ends time.Duration, told int64, err error) {
	var got []int64
	err = c.client.do(ctx, func(ctx context.Context) (err error) {
		got, err = count.Run(ctx, c.client.rdb, []string{prefix + "rl:" + key, toldKey}, quota, window.Milliseconds(), calls).Int64Slice()
		if err == nil && len(got) != 4 {
			err = fmt.Errorf("count: %d numbers instead of 4", len(got))
		}
		return err
	})
	if err != nil {
		return false, 0, 0, 0, err
	}
	return got[0] == 1, int(got[1]), time.Duration(got[2]) * time.Millisecond, got[3], nil
}
