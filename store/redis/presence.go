package redis

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"mediad/store/presence"
)

// Presence counts who watches for all nodes together. It has four sorted sets a stream, scored by the server's own clock, which go with
// their last member. Each is bounded, and of large ones the counts are estimates (maxMembers, maxRead).
type Presence struct {
	client        *Client
	members, read int
}

var _ presence.Set = (*Presence)(nil)

// NewPresence makes it.
func NewPresence(c *Client) *Presence { return &Presence{c, maxMembers, maxRead} }

// maxSigns bounds one run of the script, during which nobody else is served: some 2 ms.
const maxSigns = 500

const (
	// windowMS is the window as the scripts have it.
	windowMS = int64(presence.Window / 1e6)
	// maxMembers bounds each of a stream's sets, some 150 bytes a member. Who comes beyond it is not counted: there are at least so many.
	maxMembers = 200_000
	// maxRead is how many members of a set are looked at to count. Of more as many are drawn, and the rest is taken to be like them: a count keeps
	// the server from all others for some 5 ms at most.
	maxRead = 5000
)

// tell takes signs of one stream. KEYS are its beats, places, links and playlists; ARGV is the window, the bound of each set, then of each sign
// kind, who, net, age and whether it is gone. A link's member ends with where it comes from, in
// which there is no space.
var tell = redis.NewScript(`
local t = redis.call('TIME')
local now, window, most = t[1] * 1000 + math.floor(t[2] / 1000), tonumber(ARGV[1]), tonumber(ARGV[2])
local sizes = {}
for i, key in ipairs(KEYS) do
	sizes[i] = redis.call('ZCARD', key)
	if sizes[i] >= most then
		local keep = window
		if i == 2 then keep = 2 * window end
		redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. (now - keep))
		sizes[i] = redis.call('ZCARD', key)
	end
end
local function add(i, at, member)
	if sizes[i] >= most and not redis.call('ZSCORE', KEYS[i], member) then return end
	sizes[i] = sizes[i] + redis.call('ZADD', KEYS[i], 'GT', at, member)
end
for i = 3, #ARGV, 5 do
	local kind, who, net, at, gone = ARGV[i], ARGV[i + 1], ARGV[i + 2], now - tonumber(ARGV[i + 3]), ARGV[i + 4] == '1'
	if kind == '1' then
		add(2, at, net)
		if gone then sizes[1] = sizes[1] - redis.call('ZREM', KEYS[1], who) else add(1, at, who) end
	elseif kind == '2' then
		local member = who .. ' ' .. net
		if gone then sizes[3] = sizes[3] - redis.call('ZREM', KEYS[3], member) else add(3, at, member) end
	else
		add(4, at, net)
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
local viewers, linked = redis.call('ZCARD', KEYS[1]), {}
local function each(key, see)
	local all, read = redis.call('ZCARD', key), tonumber(ARGV[2])
	local members
	if all > read then members = redis.call('ZRANDMEMBER', key, read, 'WITHSCORES') else members = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end
	local n = 0
	for i = 1, #members, 2 do if see(members[i], tonumber(members[i + 1])) then n = n + 1 end end
	if all > read then n = math.floor(n * all / read + 0.5) end
	return n
end
local function beat(net) return tonumber(redis.call('ZSCORE', KEYS[2], net) or -math.huge) end
viewers = viewers + each(KEYS[3], function(member)
	local net = string.match(member, '[^ ]*$')
	linked[net] = true
	return now - beat(net) > window
end)
local estimated = each(KEYS[4], function(net, asked) return not linked[net] and asked - beat(net) > window end)
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
			args := append([]any{windowMS, p.members}, values[:n]...)
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
			got, err := countViewers.Run(ctx, p.client.rdb, viewerKeys(stream), windowMS, p.read).Int64Slice()
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
