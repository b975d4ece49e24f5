-- What nginx's own cache lacks for Low-Latency HLS. nginx stores and sends; this decides who asks mediad and who waits.
--
--   request ─► key ─► known and fresh? ────────────────────► nginx's cache ─► viewer: HIT
--                        │ no
--                        ├─ nobody fetches it: start a fetch
--                        └─ wait until it lies in the cache ──► nginx's cache ─► viewer: MISS for the first, HIT
--
--   fetch ─► HEAD to nginx itself (127.0.0.1:8079) ─► GET to mediad ─► nginx's cache
--
-- nginx's proxy_cache_lock collapses requests too, but it looks only each half second whether the object has come, which
-- is later than two parts; it sends no Age; and it takes seconds for whole ones, so that what may be kept for one is kept for up to two.
--
-- A fetch belongs to no viewer: one who leaves, or reads slowly, holds up nobody. And no body passes through Lua, so nginx sends files
-- by sendfile.
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

local SELF = { "127.0.0.1", 8079 } -- where this nginx fetches, see mediad-site.conf

-- groups are who waits in this worker: key → { sema, n }.
local groups = {}

-- Everything in the cache belongs to one start of nginx: what was purged before does not come back with the next.
function M.init()
    purged:add("start", ngx.now())
    purged:add("secret", ngx.md5(ngx.now() .. math.random() .. tostring({})))
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

-- head asks this nginx to fetch an object into its cache, and returns the status and the headers that count.
local function head(o)
    local sock = ngx.socket.tcp()
    sock:settimeouts(1000, 1000, LONGEST * 1000)
    local ok, err = sock:connect(SELF[1], SELF[2])
    if not ok then
        return nil, err
    end
    local lines = {
        "HEAD " .. o.path .. " HTTP/1.1", "Host: mediad", "Connection: close", "M-Secret: " .. purged:get("secret"), "M-Key: " .. o.key, "M-Bypass: " .. o.bypass,
        "Accept-Encoding: " .. o.encoding, "X-Forwarded-For: " .. o.from, "User-Agent: " .. o.agent, "", "",
    }
    local _
    _, err = sock:send(table.concat(lines, "\r\n"))
    if err then
        return nil, err
    end
    local line
    line, err = sock:receive("*l")
    local status = line and tonumber(line:match("^HTTP/1%.1 (%d+)"))
    if not status then
        return nil, err or line
    end
    local header = {}
    while true do
        line, err = sock:receive("*l")
        if not line then
            return nil, err
        end
        if line == "" then
            break
        end
        local name, value = line:match("^([^:]+):%s*(.*)$")
        if name then
            header[name:lower()] = value
        end
    end
    -- The head comes while nginx still stores the body. It closes when that is done.
    _, err = sock:receive("*a")
    if err then
        return nil, err
    end
    return status, header
end

-- fetch brings an object into the cache, notes how long it may be kept, and wakes who waits.
local function fetch(premature, o)
    if premature then -- this worker ends: whoever waits goes on by himself
        flights:delete(o.key)
        return wake(o.key)
    end
    local ok, status, header = pcall(head, o) -- whatever happens, nobody waits in vain
    if not ok then
        status, header = nil, status
    end
    local state, seconds, flags = AWAY, AWAY_FOR, 0
    local control = status and (header["cache-control"] or ""):lower()
    if not status then
        ngx.log(ngx.ERR, "fetching ", o.path, ": ", header)
    elseif status < 500 or control ~= "" then
        -- Age is that of a cache between mediad and this one.
        local kept = number(control:match("max%-age=(%d+)")) - number(header["age"])
        if kept <= 0 or control:find("no-store", 1, true) or control:find("no-cache", 1, true) or control:find("private", 1, true) then
            state, seconds = PASS, PASSING
        elseif kept <= FOREVER then
            state, seconds = ngx.now(), kept
        else
            local date = header["x-cache"] == "HIT" and ngx.parse_http_time(header["date"] or "")
            state, seconds, flags = date or ngx.now(), REMEMBERED, IMMUTABLE
        end
    end
    known:set(o.key, state, seconds, flags)
    flights:delete(o.key)
    wake(o.key)
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
    local path = var.uri .. var.mediad_query
    local key = table.concat({ generation(var.uri), var.mediad_encoding, path }, " ")
    var.mediad_key, var.mediad_cache = key, "HIT"
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
        local first = flights:add(key, true, LONGEST + 1)
        if first and known:get(key) then -- another worker was done between the two looks
            flights:delete(key)
            wake(key)
        else
            if first then
                var.mediad_cache = "MISS"
                -- nginx may take what has just expired for fresh. Media that nothing is remembered of may well lie there.
                local old = var.mediad_kind == "playlist" or state and flags ~= IMMUTABLE
                local ok = ngx.timer.at(0, fetch, {
                    key = key, path = path, bypass = old and "1" or "", encoding = var.mediad_encoding,
                    from = var.mediad_from, agent = var.http_user_agent or "",
                })
                if not ok then -- this worker ends, or has too much to do: nginx's own lock is left
                    flights:delete(key)
                    var.mediad_bypass = old and "1" or ""
                    return
                end
            end
            wait(key, till - ngx.now())
        end
    until ngx.now() >= till
    M.away()
end

-- fetching lets this nginx in, and nobody else.
function M.fetching()
    if ngx.var.http_m_secret ~= purged:get("secret") then
        ngx.exit(ngx.HTTP_FORBIDDEN)
    end
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

-- purge forgets a path, all below /live/{stream}/ or /vod/{video}/, or everything (/).
function M.purge()
    local path = ngx.var.request_uri:gsub("%?.*$", ""):gsub("^/t/[^/]+", "")
    if path ~= "/" and path:sub(-1) == "/" and not path:find("^/%a+/[^/]+/$") then
        return problem(400, "invalid_parameter", "Not purged", "Name a file, /live/{stream}/, /vod/{video}/ or /.")
    end
    if not purged:safe_set(path, ngx.now()) then
        purged:flush_all() -- too many names to remember: everything
        M.init()
    end
    ngx.header["Content-Type"] = "text/plain"
    ngx.say("purged")
end

return M
