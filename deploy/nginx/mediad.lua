-- What nginx's own cache lacks for Low-Latency HLS. nginx stores and sends; this decides who asks mediad and who waits.
--
--   request ─► key ─► known and fresh? ─────────────────────────────────────────► nginx's cache: HIT
--                        │ no
--                        ├─ nobody fetches it: a subrequest fetches it ─► mediad ─► nginx's cache: MISS
--                        └─ somebody does: wait until it lies there ────────────► nginx's cache: HIT
--
-- nginx's proxy_cache_lock collapses requests too, but it looks only each half second whether the object has come, which
-- is later than two parts; it sends no Age; and it takes seconds for whole ones, so that what may be kept for one is kept for up to two.
--
-- The fetch is a HEAD to nginx itself, which asks mediad by GET and stores: however slowly the viewer who came first reads, the
-- others are not held up, and nginx still sends files by sendfile, which a body filter in Lua would prevent.
--
-- Waiting costs a semaphore. In each worker one timer an object looks every few milliseconds whether the worker that
-- fetches it is done; inside that worker the waiters are woken at once.
local semaphore = require "ngx.semaphore"

local M = {}

local known = ngx.shared.mediad_known -- key → when it was fetched, or one of the words below; expires with its freshness
local flights = ngx.shared.mediad_flights -- key → true while one request is on its way
local purged = ngx.shared.mediad_purged -- path → generation

local AWAY = "away" -- mediad did not answer; everybody gets that told for a second
local PASS = "pass" -- the answer may not be kept: whoever waited for it asks for himself

local LONGEST = 15 -- seconds of one fetch: over the 8 s that mediad holds a request
local LOOK = 0.005 -- seconds between two looks for another worker's fetch
local PASSING = 0.05 -- seconds that PASS holds
local AWAY_FOR = 1 -- seconds that AWAY holds
local REMEMBERED = 300 -- seconds for which media is known without looking: less than nginx keeps what nobody asks for
local FOREVER = 86400 -- what may be kept for longer than this does not change

local IMMUTABLE = 1 -- flag of a known key

-- groups are who waits in this worker: key → { sema, n }.
local groups = {}

-- Everything in the cache belongs to one start of nginx: what was purged before does not come back with the next.
function M.init()
    purged:add("start", ngx.now())
end

local function whole(s, digits)
    return s ~= nil and #s <= digits and (s == "0" or s:find("^[1-9]%d*$") ~= nil)
end

-- directives gives a playlist's query its one spelling: what mediad reads of it, in alphabetical order. Everything else never
-- changes an answer. All that mediad refuses becomes one query that it refuses.
function M.directives(query)
    local REFUSED = "?_HLS_msn=x"
    local given = {}
    for pair in query:gmatch("[^&]+") do
        local name, value = pair:match("^(_HLS_%a+)=?(.*)$")
        if name == "_HLS_msn" or name == "_HLS_part" or name == "_HLS_skip" then
            if given[name] then
                return REFUSED
            end
            if pair:sub(#name + 1, #name + 1) == "=" or value == "" then
                given[name] = value
            end
        end
    end
    local msn, part, skip = given._HLS_msn, given._HLS_part, given._HLS_skip
    if msn and not whole(msn, 18) or part and not (msn and whole(part, 7)) then
        return REFUSED
    end
    local out = {}
    if msn then
        out[#out + 1] = "_HLS_msn=" .. msn
    end
    if part then
        out[#out + 1] = "_HLS_part=" .. part
    end
    if skip == "YES" or skip == "v2" then
        out[#out + 1] = "_HLS_skip=" .. skip
    end
    if #out == 0 then
        return ""
    end
    return "?" .. table.concat(out, "&")
end

-- gzip tells whether Accept-Encoding lets gzip be sent, as mediad reads it.
function M.gzip(accept)
    for one in accept:lower():gmatch("[^,]+") do
        local name, weight = one:match("^%s*([^%s;]*)%s*;?(.*)$")
        if name == "gzip" or name == "x-gzip" or name == "*" then
            return not weight:find("^%s*q=[0.]+%s*$")
        end
    end
    return false
end

-- generation changes with every purge of the path, of what it lies below, or of everything.
local function generation(path)
    local stream = path:gsub("^/t/[^/]+", "")
    local below = stream:match("^/%a+/[^/]+/")
    return table.concat({
        purged:get("start"), purged:get("/") or 0, below and purged:get(below) or 0, purged:get(stream) or 0,
    }, ".")
end

local function problem(status, code, title, detail)
    ngx.status = status
    ngx.header["Content-Type"] = "application/problem+json"
    ngx.header["Access-Control-Allow-Origin"] = "*"
    ngx.say(string.format('{"type":"urn:mediad:problem:%s","title":"%s","status":%d,"code":"%s","detail":"%s"}', code, title, status, code, detail))
    return ngx.exit(ngx.HTTP_OK) -- the answer is on its way
end

-- readable answers what is not a GET, and tells whether it was one.
local function readable()
    local method = ngx.req.get_method()
    if method == "GET" or method == "HEAD" then
        return true
    end
    ngx.header["Allow"] = "GET, HEAD, OPTIONS"
    if method ~= "OPTIONS" then
        problem(405, "method_not_allowed", "Method not allowed", "Media can only be read.")
        return false
    end
    -- Browsers ask before they send CMCD headers to another site, once for each address: that must not reach mediad.
    ngx.header["Access-Control-Allow-Origin"] = "*"
    ngx.header["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
    ngx.header["Access-Control-Allow-Headers"] = "*"
    ngx.header["Access-Control-Max-Age"] = "86400"
    ngx.exit(ngx.HTTP_NO_CONTENT)
    return false
end

function M.away()
    ngx.header["Retry-After"] = "1"
    ngx.header["Cache-Control"] = "no-store"
    problem(503, "unavailable", "Unavailable", "The server cannot be reached at the moment.")
end

function M.unknown()
    if readable() then
        ngx.header["Cache-Control"] = "public, max-age=1"
        problem(404, "not_found", "Not found", "There is nothing at this address.")
    end
end

local function wake(key)
    local g = groups[key]
    if g then
        groups[key] = nil
        g.sema:post(g.n)
    end
end

-- watch wakes the waiters of this worker when a fetch of another is over.
local function watch(premature, key, g)
    while not premature and groups[key] == g and flights:get(key) do
        ngx.sleep(LOOK)
        premature = ngx.worker.exiting()
    end
    if groups[key] == g then
        wake(key)
    end
end

local function wait(key, seconds)
    local g = groups[key]
    if not g then
        g = { sema = semaphore.new(), n = 0 }
        if not ngx.timer.at(0, watch, key, g) then
            ngx.sleep(LOOK)
            return
        end
        groups[key] = g
    end
    g.n = g.n + 1
    g.sema:wait(seconds)
end

local function number(s)
    return tonumber(s) or 0
end

-- conclude lets go of a fetch: everybody else gets state for seconds.
local function conclude(key, state, seconds, flags)
    ngx.ctx.mediad_flight = nil
    known:set(key, state, seconds, flags)
    flights:delete(key)
    wake(key)
end

-- fetch brings an object into the cache, and notes how long it may be kept.
local function fetch(key, bypass)
    local var = ngx.var
    local answer = ngx.location.capture("/.mediad-fetch", {
        method = ngx.HTTP_HEAD,
        vars = {
            mediad_key = key, mediad_path = var.uri, mediad_query = var.mediad_query, mediad_encoding = var.mediad_encoding,
            mediad_bypass = bypass,
        },
    })
    local header, now = answer.header, ngx.now()
    var.mediad_cache = header["X-Cache"] or "MISS"
    local control = (header["Cache-Control"] or ""):lower()
    if answer.status >= 500 and control == "" then
        return conclude(key, AWAY, AWAY_FOR, 0)
    end
    -- Age is that of a cache between mediad and this one.
    local kept = number(control:match("max%-age=(%d+)")) - number(header["Age"])
    if kept <= 0 or control:find("no-store", 1, true) or control:find("no-cache", 1, true) or control:find("private", 1, true) then
        conclude(key, PASS, PASSING, 0)
    elseif kept <= FOREVER then
        conclude(key, now, kept, 0)
    elseif header["X-Cache"] == "HIT" then
        conclude(key, ngx.parse_http_time(header["Date"] or "") or now, REMEMBERED, IMMUTABLE)
    else
        conclude(key, now, REMEMBERED, IMMUTABLE)
    end
end

-- access holds the request until it will find its answer in the cache, if need be by fetching it.
function M.access()
    if not readable() then
        return
    end
    local var = ngx.var
    if var.mediad_kind == "playlist" then
        var.mediad_query = M.directives(var.args or "")
        if M.gzip(var.http_accept_encoding or "") then
            var.mediad_encoding = "gzip"
        end
    end
    local key = table.concat({ generation(var.uri), var.mediad_encoding, var.uri .. var.mediad_query }, " ")
    var.mediad_key, var.mediad_path, var.mediad_cache = key, var.uri, "HIT"
    local till = ngx.now() + LONGEST
    repeat
        local state, flags, expired = known:get_stale(key)
        if state and not expired then
            if state == AWAY then
                return M.away()
            end
            if state == PASS then
                var.mediad_bypass, var.mediad_cache = "1", "PASS"
            end
            return
        end
        if flights:add(key, true, LONGEST + 1) then
            ngx.ctx.mediad_flight = key
            -- nginx may take what has just expired for fresh. Media that nothing is remembered of may well lie there.
            local old = var.mediad_kind == "playlist" or state and flags ~= IMMUTABLE
            fetch(key, old and "1" or "")
        else
            wait(key, till - ngx.now())
        end
    until ngx.now() >= till
    M.away()
end

-- header gives the answer its age.
function M.header()
    local var = ngx.var
    local key = var.mediad_key
    if key == "" then
        return
    end
    ngx.header["X-Cache"] = var.mediad_cache
    local before = number(var.upstream_http_age)
    if var.upstream_cache_status ~= "HIT" then
        ngx.header["Age"] = before
        return
    end
    local born = tonumber((known:get_stale(key))) or ngx.parse_http_time(var.upstream_http_date or "")
    ngx.header["Age"] = math.floor(math.max(0, ngx.now() - (born or ngx.now())) + before)
end

-- done lets go of a fetch whose viewer left: the next who waits takes it over.
function M.done()
    local key = ngx.ctx.mediad_flight
    if key then
        flights:delete(key)
        wake(key)
    end
end

-- purge forgets a path, all below /live/{stream}/ or /vod/{video}/, or everything (/).
function M.purge()
    local path = ngx.var.request_uri:gsub("%?.*$", ""):gsub("^/t/[^/]+", "")
    if path ~= "/" and path:sub(-1) == "/" and not path:find("^/%a+/[^/]+/$") then
        return problem(400, "invalid_parameter", "Not purged", "Name a file, /live/{stream}/, /vod/{video}/ or /.")
    end
    if not purged:safe_set(path, ngx.now()) then
        purged:flush_all() -- too many names to remember: everything
        purged:set("start", ngx.now())
    end
    ngx.header["Content-Type"] = "text/plain"
    ngx.say("purged")
end

return M
