-- What the locations of bench.conf do: one get a request, by kivi and by lua-resty-redis as its own manual writes it.
local kivi = require "resty.kivi"
local redis = require "nginx.redis" -- Debian's name of lua-resty-redis

local stores = {
    unix = assert(kivi.open(os.getenv("KIVI_REDIS"))),
    tcp = assert(kivi.open(os.getenv("KIVI_REDIS_TCP"))),
    lmdb = assert(kivi.open(os.getenv("KIVI_LMDB")))
}
local socket = os.getenv("KIVI_REDIS"):gsub("^redis%+unix://", "unix:")
local port = tonumber(os.getenv("KIVI_REDIS_TCP"):match(":(%d+)$"))

local bench = {}

function bench.value()
    return ("0123456789"):rep(10)
end

local function connect(transport)
    local client = redis:new()
    client:set_timeout(5000)
    local ok, err
    if transport == "unix" then
        ok, err = client:connect(socket)
    else
        ok, err = client:connect("127.0.0.1", port)
    end
    return ok and client, err
end

local function fail(err)
    ngx.status = 503
    ngx.print(tostring(err))
end

function bench.fill()
    for _, store in pairs(stores) do
        assert(store:set("kivi", bench.value()))
    end
    local client = assert(connect("unix"))
    assert(client:set("redis", bench.value()))
    ngx.print("filled")
end

function bench.kivi(store)
    local value, err = stores[store]:get("kivi")
    if not value then
        return fail(err)
    end
    ngx.print(value)
end

function bench.redis(transport)
    local client, err = connect(transport)
    if not client then
        return fail(err)
    end
    local value
    value, err = client:get("redis")
    if not value then
        return fail(err)
    end
    ngx.print(value)
    client:set_keepalive(10000, 128)
end

return bench
