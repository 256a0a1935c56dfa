-- kivi in nginx: the API of `require "kivi"`, without ever blocking the event loop.
--
-- Reads of LMDB and memory answer in place; all else goes through one queue a worker, and the request sleeps meanwhile.
-- While nginx starts (init_by_lua, init_worker_by_lua) nothing is served yet, and calls wait as elsewhere. Phases that
-- nginx lets nothing sleep in get an error for calls that would have to. See lua/examples/nginx/README.md.
---@class resty.kivi: kivi
local kivi = require "kivi"
local worker = require "resty.kivi.worker"
local composed = require "resty.kivi.composed"

local can_yield = kivi.loop.can_yield
local sleeps = {
    rewrite = true, server_rewrite = true, access = true, content = true, timer = true, preread = true,
    ssl_cert = true, ssl_session_fetch = true, ssl_client_hello = true
}
local starts = {init = true, init_worker = true}

local Store = {}
local meta = {__index = Store, __name = "kivi.Store"}

function meta:__tostring()
    return tostring(self.store)
end

-- ---- how a call is made ----

local function refuse(where)
    return nil, nil, kivi.loop.error("UNSUPPORTED", "this call waits for its store, and nothing may wait "
        .. where .. ": make it in another phase, or in ngx.timer.at(0, ...)")
end

-- The open store as this worker's calls go through its queue; made once, after the fork.
local function through_queue(self)
    local queue, err = worker.queue()
    if not queue then
        return nil, nil, err
    end
    self.queued = kivi.loop.through(self.store, queue)
    return self.queued, true
end

-- The store to call, and whether that submits; or nil, nil and an error.
local function route(self)
    if self.own then
        return self.store, false
    end
    local phase = ngx.get_phase()
    if starts[phase] then
        return self.store, false
    elseif not sleeps[phase] then
        return refuse("in the phase " .. phase)
    elseif not can_yield() then
        return refuse("below a C function that calls back, as string.gsub")
    end
    worker.hold()
    if self.queued then
        return self.queued, true
    end
    return through_queue(self)
end

local function trimmed(a, b)
    if b == nil then
        return a
    end
    return a, b
end

-- Methods that hand their arguments on: by their own names and not by a tail call, so that a bad argument is told by
-- the method's name.
local function define(name, arguments, is_read)
    local source = [[
        local route, wait, trimmed = ...
        return function(self, ARGUMENTS)
            IN_PLACE
            local store, submits, err = route(self)
            if submits then
                return wait(store:NAME(ARGUMENTS))
            elseif store then
                return trimmed(store:NAME(ARGUMENTS))
            end
            return nil, err
        end]]
    local in_place = is_read and "if self.in_place then return trimmed(self.store:NAME(ARGUMENTS)) end" or ""
    source = source:gsub("IN_PLACE", in_place):gsub("NAME", name):gsub("ARGUMENTS", arguments)
    Store[name] = assert(loadstring(source, "=kivi"))(route, worker.wait, trimmed)
end

for _, name in ipairs {"get", "get_versioned", "exists", "ttl"} do
    define(name, "key, options", true)
end
define("get_many", "keys, options", true)
for _, name in ipairs {"delete", "take", "persist"} do
    define(name, "key, options")
end
for _, name in ipairs {"set", "add", "replace"} do
    define(name, "key, value, options")
end
define("compare_and_set", "key, expected, value, options")
define("compare_and_delete", "key, expected, options")
define("increment", "key, by, options")
define("expire", "key, seconds, options")
define("get_and_expire", "key, seconds, options")
define("set_many", "pairs, options")
define("delete_many", "keys, options")
define("apply", "ops, options")
for _, name in ipairs {"page", "count", "clear"} do
    define(name, "prefix, options")
end
define("health", "options")

for _, name in ipairs {"close", "url", "scheme", "codec", "capabilities", "stats"} do
    Store[name] = function(self) -- these wait for nothing
        local store = self.store
        return store[name](store)
    end
end

-- Methods with a function of the caller's in them, or many calls: made of the others where they must sleep.
for name, method in pairs(composed) do
    Store[name] = function(self, ...)
        local store, submits, err = route(self)
        if submits or self.own then
            return method(self, ...)
        elseif store then
            return store[name](store, ...)
        end
        return nil, err
    end
end

-- ---- the module ----

local module = {}
for name, value in pairs(kivi) do
    module[name] = value
end
module.queue, module.loop = nil, nil

-- As kivi.open(): opens a store for all requests of this worker, or of all workers where init_by_lua opens it. Opening
-- reads files, so do it there, in init_worker_by_lua, or once where a module of yours is loaded.
function module.open(url, options)
    local store, err = kivi.open(url, options)
    if not store then
        return nil, err
    end
    local own = store:scheme() == "memory"
    if own and ngx.worker.count() > 1 then
        ngx.log(ngx.WARN, "kivi: ", url, " is each worker's own: ", ngx.worker.count(),
            " workers do not see each other's values")
    end
    return setmetatable({
        store = store,
        own = own,
        in_place = kivi.loop.is_in_place(store),
        timeout = options and options.timeout or 5
    }, meta)
end

-- As kivi.copy(), which blocks: only while nginx starts.
function module.copy(source, target, options)
    if not starts[ngx.get_phase()] then
        return nil, kivi.loop.error("UNSUPPORTED",
            "copy would block this worker: use the command `kivi copy`, or init_worker_by_lua")
    end
    return kivi.copy(source.store, target.store, options)
end

return module
