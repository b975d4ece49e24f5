package redis

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"mediad/store/presence"
)

// Presence counts who watches for all nodes together. It has four sorted sets a stream, scored by the server's own clock, which go with
// their last member.
type Presence struct{ client *Client }

var _ presence.Set = (*Presence)(nil)

// NewPresence makes it.
func NewPresence(c *Client) *Presence { return &Presence{c} }

// maxSigns bounds one run of the script, during which nobody else is served: some 2 ms.
const maxSigns = 500

// The numbers of presence, as the scripts have them, in milliseconds.
const windowMS = int64(presence.Window / 1e6)

// tell takes signs of one stream. KEYS are its beats, places, links and playlists; ARGV is the window, then of each sign kind, who, net, age
// and whether it is gone. A link's member ends with where it comes from, in
// which there is no space.
var tell = redis.NewScript(`
local t = redis.call('TIME')
local now, window = t[1] * 1000 + math.floor(t[2] / 1000), tonumber(ARGV[1])
for i = 2, #ARGV, 5 do
	local kind, who, net, at, gone = ARGV[i], ARGV[i + 1], ARGV[i + 2], now - tonumber(ARGV[i + 3]), ARGV[i + 4] == '1'
	if kind == '1' then
		redis.call('ZADD', KEYS[2], 'GT', at, net)
		if gone then redis.call('ZREM', KEYS[1], who) else redis.call('ZADD', KEYS[1], 'GT', at, who) end
	elseif kind == '2' then
		local member = who .. ' ' .. net
		if gone then redis.call('ZREM', KEYS[3], member) else redis.call('ZADD', KEYS[3], 'GT', at, member) end
	else
		redis.call('ZADD', KEYS[4], 'GT', at, net)
	end
end
for i, key in ipairs(KEYS) do redis.call('PEXPIRE', key, 2 * window + 1000) end
return 0`)

// countViewers counts those of one stream: who is there, and how many more seem to be.
var countViewers = redis.NewScript(`
local t = redis.call('TIME')
local now, window = t[1] * 1000 + math.floor(t[2] / 1000), tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
	local keep = window
	if i == 2 then keep = 2 * window end
	redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. (now - keep))
end
local viewers, linked, estimated = redis.call('ZCARD', KEYS[1]), {}, 0
for _, member in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
	local net = string.match(member, '[^ ]*$')
	linked[net] = true
	local beat = redis.call('ZSCORE', KEYS[2], net)
	if not beat or now - tonumber(beat) > window then viewers = viewers + 1 end
end
local asked = redis.call('ZRANGE', KEYS[4], 0, -1, 'WITHSCORES')
for i = 1, #asked, 2 do
	local beat = redis.call('ZSCORE', KEYS[2], asked[i])
	if not linked[asked[i]] and (not beat or tonumber(asked[i + 1]) - tonumber(beat) > window) then estimated = estimated + 1 end
end
return {viewers, estimated}`)

func viewerKeys(stream string) []string {
	key := prefix + "viewers:{" + stream + "}:" // the braces keep a stream's keys on one node of a cluster
	return []string{key + "beats", key + "places", key + "links", key + "playlists"}
}

// Tell implements presence.Set.
func (p *Presence) Tell(ctx context.Context, signs []presence.Sign) error {
	byStream := map[string][]any{}
	for i := range signs {
		s := &signs[i]
		gone := "0"
		if s.Gone {
			gone = "1"
		}
		byStream[s.Stream] = append(byStream[s.Stream], strconv.Itoa(int(s.Kind)), s.Who, s.Net, s.Age.Milliseconds(), gone)
	}
	const each = 5 // values of one sign
	for stream, values := range byStream {
		for len(values) > 0 {
			n := min(len(values), maxSigns*each)
			args := append([]any{windowMS}, values[:n]...)
			values = values[n:]
			err := p.client.do(ctx, func(ctx context.Context) error { return tell.Run(ctx, p.client.rdb, viewerKeys(stream), args...).Err() })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Count implements presence.Set.
func (p *Presence) Count(ctx context.Context, streams []string) (map[string]presence.Counts, error) {
	counts := make(map[string]presence.Counts, len(streams))
	for _, stream := range streams {
		err := p.client.do(ctx, func(ctx context.Context) error {
			got, err := countViewers.Run(ctx, p.client.rdb, viewerKeys(stream), windowMS).Int64Slice()
			if err == nil && len(got) == 2 && got[0]+got[1] > 0 {
				counts[stream] = presence.Counts{Viewers: int(got[0]), Estimated: int(got[1])}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return counts, nil
}
