-- The example's application: sessions that slide, and a limiter that counts, on whichever store the path names.
local kivi = require "resty.kivi"

local SESSION = 1800 -- seconds that a session lives after its last request

local app = {}

local stores = {
    redis = assert(kivi.open(os.getenv("KIVI_REDIS") or "redis://127.0.0.1:6379")),
    lmdb = assert(kivi.open(os.getenv("KIVI_LMDB") or "lmdb:sessions.mdb"))
}

-- A store that cannot answer is no reason to hang, or to say anything else than that.
local function unavailable(err)
    ngx.log(ngx.ERR, tostring(err))
    ngx.status = ngx.HTTP_SERVICE_UNAVAILABLE
    ngx.header["Retry-After"] = 1
    ngx.say("try again later: ", err.code)
    return ngx.exit(ngx.HTTP_OK)
end

local function new_id()
    local file = assert(io.open("/dev/urandom", "rb"))
    local bytes = file:read(16)
    file:close()
    return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function session_key()
    local id = ngx.var.cookie_session
    return id and #id == 32 and "session:" .. id or nil
end

-- At most `most` requests of one address in `seconds`. The count's ttl begins with the first request of a window and is
-- kept by the others, so that the window ends by itself: nothing has to be cleaned up.
function app.limit(name, most, seconds)
    local count, err = stores[name]:increment("rate:" .. ngx.var.binary_remote_addr, 1, {ttl = seconds})
    if not count then
        return unavailable(err)
    end
    ngx.header["X-RateLimit-Remaining"] = math.max(most - count, 0)
    if count > most then
        ngx.status = ngx.HTTP_TOO_MANY_REQUESTS
        ngx.header["Retry-After"] = seconds
        ngx.say("too many requests")
        return ngx.exit(ngx.HTTP_OK)
    end
end

function app.login(name)
    local user = ngx.var.arg_user
    if not user or user == "" then
        ngx.status = ngx.HTTP_BAD_REQUEST
        return ngx.say("who? ?user=...")
    end
    local id = new_id()
    local session = {user = user, since = kivi.timestamp(ngx.time()), visits = 0}
    local ok, err = stores[name]:set("session:" .. id, session, {ttl = SESSION})
    if not ok then
        return unavailable(err)
    end
    ngx.header["Set-Cookie"] = "session=" .. id .. "; HttpOnly; SameSite=Lax; Path=/" .. name
    ngx.say("hello ", user)
end

-- Counts the visit and lets the session live on. `update` writes only what it read: of two requests at once none is lost.
function app.me(name)
    local key, session = session_key(), nil
    local ok, err = true, nil
    if key then
        ok, err = stores[name]:update(key, function(found)
            session = found
            if found then
                found.visits = found.visits + 1
            end
            return found
        end, {ttl = SESSION})
    end
    if not ok then
        return unavailable(err)
    elseif not session then
        ngx.status = ngx.HTTP_UNAUTHORIZED
        return ngx.say("log in first")
    end
    ngx.say(session.user, ", visit ", session.visits, ", worker ", ngx.worker.id())
end

function app.logout(name)
    local key = session_key()
    local existed, err = false, nil
    if key then
        existed, err = stores[name]:delete(key)
    end
    if err then
        return unavailable(err)
    end
    ngx.header["Set-Cookie"] = "session=; Max-Age=0; Path=/" .. name
    ngx.say(existed and "bye" or "you were not logged in")
end

function app.health()
    for name, store in pairs(stores) do
        local health, err = store:health({timeout = 1})
        if not health then
            ngx.status = ngx.HTTP_SERVICE_UNAVAILABLE
        end
        ngx.say(name, ": ", health and "ok" or tostring(err))
    end
end

return app
