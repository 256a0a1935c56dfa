-- kivi in nginx: the API of `require "kivi"`, without ever blocking the event loop.
--
-- Reads of LMDB and memory answer in place; all else goes through one queue a worker, and the request sleeps meanwhile.
-- While nginx starts (init_by_lua, init_worker_by_lua) or ends (exit_worker_by_lua) nothing is served, and calls wait as
-- elsewhere. Phases that nginx lets nothing sleep in get an error for calls that would have to, but for writes with
-- `{wait = false}`, which are left to themselves. See lua/examples/nginx/README.md.
---@class resty.kivi: kivi
local kivi = require "kivi"
local worker = require "resty.kivi.worker"
local composed = require "resty.kivi.composed"
local unwaited = require "resty.kivi.unwaited"

local can_yield = kivi.loop.can_yield
local sleeps = {
    rewrite = true, server_rewrite = true, access = true, content = true, timer = true, preread = true,
    ssl_cert = true, ssl_session_fetch = true, ssl_client_hello = true
}
local blocks = {init = true, init_worker = true, exit_worker = true} -- nothing is served

local Store = {}
local meta = {__index = Store, __name = "kivi.Store"}

function meta:__tostring()
    return tostring(self.store)
end

-- ---- how a call is made ----

local function refuse(where)
    return nil, nil, kivi.loop.error("UNSUPPORTED", "this call waits for its store, and nothing may wait "
        .. where .. ": make it in another phase; a write may be left to itself by {wait = false}")
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
    if blocks[phase] then
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

-- A write that nobody waits for: true once it is submitted, in any phase. Where nothing is served it is made.
local function leave(self, name, ...)
    local store, _, err = self.store, nil, nil
    if not self.own and not blocks[ngx.get_phase()] then
        worker.hold()
        store = self.queued
        if not store then
            store, _, err = through_queue(self)
        end
    end
    if not store then
        return nil, err
    end
    return unwaited.made(self, name, store == self.queued, store[name](store, ...))
end

local function trimmed(a, b)
    if b == nil then
        return a
    end
    return a, b
end

-- Methods that hand their arguments on: by their own names and not by a tail call, so that a bad argument is told by
-- the method's name.
local function define(name, arguments, at_once)
    local source = [[
        local route, wait, trimmed, leave, split = ...
        return function(self, ARGUMENTS)
            AT_ONCE
            local store, submits, err = route(self)
            if submits then
                return wait(store:NAME(ARGUMENTS))
            elseif store then
                return trimmed(store:NAME(ARGUMENTS))
            end
            return nil, err
        end]]
    source = source:gsub("AT_ONCE", at_once or ""):gsub("NAME", name):gsub("ARGUMENTS", arguments)
    Store[name] = assert(loadstring(source, "=kivi"))(route, worker.wait, trimmed, leave, unwaited.split)
end

local in_place = "if self.in_place then return trimmed(self.store:NAME(ARGUMENTS)) end"
local unless_unwaited = [[if type(options) == "table" and options.wait ~= nil then
                local is_left
                is_left, options = split("NAME", options)
                if is_left then return leave(self, "NAME", ARGUMENTS) end
            end]]

for _, name in ipairs {"get", "get_versioned", "exists", "ttl"} do
    define(name, "key, options", in_place)
end
define("get_many", "keys, options", in_place)
for _, name in ipairs {"delete", "persist"} do
    define(name, "key, options", unless_unwaited)
end
for _, name in ipairs {"set", "add", "replace"} do
    define(name, "key, value, options", unless_unwaited)
end
define("compare_and_set", "key, expected, value, options", unless_unwaited)
define("compare_and_delete", "key, expected, options", unless_unwaited)
define("increment", "key, by, options", unless_unwaited)
define("expire", "key, seconds, options", unless_unwaited)
define("set_many", "pairs, options", unless_unwaited)
define("delete_many", "keys, options", unless_unwaited)
define("apply", "ops, options", unless_unwaited)
define("take", "key, options")
define("get_and_expire", "key, seconds, options")
for _, name in ipairs {"page", "count", "clear"} do
    define(name, "prefix, options")
end
define("health", "options")

for _, name in ipairs {"close", "url", "scheme", "codec", "capabilities"} do
    Store[name] = function(self) -- these wait for nothing
        local store = self.store
        return store[name](store)
    end
end

function Store:stats()
    local stats, err = self.store:stats()
    if stats then
        stats.unwaited = unwaited.counts(self)
    end
    return stats, err
end

-- Methods with a function of the caller's in them, or many calls: made of the others where they must sleep.
for name, method in pairs(composed) do
    Store[name] = function(self, ...)
        local store, submits, err = route(self)
        if submits or self.own and not blocks[ngx.get_phase()] then
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

-- Waits for writes that nobody waits for, for `seconds` (1) at most: whether none is in flight. It blocks: for
-- exit_worker_by_lua, where a worker that is told to end at once would drop them.
function module.flush(seconds)
    return worker.flush(seconds or 1)
end

-- The options with an on_event that raises into nginx's log.
local function logged(options)
    local on_event = type(options) == "table" and options.on_event
    if type(on_event) ~= "function" then
        return options
    end
    local own = {}
    for name, value in pairs(options) do
        own[name] = value
    end
    function own.on_event(event)
        local ok, why = pcall(on_event, event)
        if not ok then
            ngx.log(ngx.ERR, "kivi: on_event: ", tostring(why))
        end
    end
    return own
end

-- As kivi.open(): opens a store for all requests of this worker, or of all workers where init_by_lua opens it. Opening
-- reads files, so do it there, in init_worker_by_lua, or once where a module of yours is loaded. `on_failure(err, name)` is
-- told of each write with {wait = false} that failed. `on_event(event)` may not sleep: it is called where a call ends, or where
-- the worker takes answers.
function module.open(url, options)
    local own_options, on_failure = unwaited.hook(options)
    local store, err = kivi.open(url, logged(own_options))
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
        on_failure = on_failure,
        timeout = options and options.timeout or 5
    }, meta)
end

-- As kivi.copy(), which blocks: only while nginx starts.
function module.copy(source, target, options)
    if not blocks[ngx.get_phase()] then
        return nil, kivi.loop.error("UNSUPPORTED",
            "copy would block this worker: use the command `kivi copy`, or init_worker_by_lua")
    end
    return kivi.copy(source.store, target.store, options)
end

return module
