-- get_or_set: one request of a worker computes a missing key at a time, the others wait for what it comes to.
--
-- The request that computes may be killed: its client goes away, ngx.exit, ngx.thread.kill. So a light thread of the same request, the
-- guard, sleeps on a semaphore while it computes, and looks for its thread. It dies with the request; then nobody
-- sleeps on its semaphore any more, which those who wait see within a SLICE, and the next of them computes.
local kivi = require "kivi"
local line = require "resty.kivi.line"
local new_clock = require("resty.kivi.clock").new
local timed_out = require("resty.kivi.clock").timed_out
local new_semaphore = require("ngx.semaphore").new

local running, status = coroutine.running, coroutine.status

local SLICE = 0.1 -- seconds between looks for those who were killed
local LEAST = require("resty.kivi.clock").LEAST

local computing = {}

local by_store = setmetatable({}, {__mode = "k"}) -- then by key

local function computations(self)
    local keys = by_store[self]
    if not keys then
        keys = {}
        by_store[self] = keys
    end
    return keys
end

-- Those who wait look again.
local function finish(keys, key, one)
    if keys[key] == one then
        keys[key] = nil
    end
    one.over = true
    local sleepers = -one.semaphore:count()
    if sleepers > 0 then
        one.semaphore:post(sleepers)
    end
end

-- ---- who is killed ----

local function guard(keys, key, one)
    repeat
        one.awake = false
        one.guard:wait(SLICE)
        one.awake = true
    until one.over or status(one.owner) == "dead"
    if not one.over then
        finish(keys, key, one)
    end
end

-- Whether what computes was killed, and its guard with it.
local function is_dead(one)
    return one.thread and not one.awake and one.guard:count() >= 0
end

-- ---- computing ----

-- Computes and adds; nil and nil: another process was first, and its value is gone already.
local function compute_value(self, key, compute, options, clock)
    if not clock:remaining() then -- now, and not when the function has done its work
        return timed_out("get_or_set")
    end
    clock:stop()
    local value = line.call(compute)
    clock:go_on()
    if value == kivi.leave then
        return kivi.leave
    elseif value == nil then
        return nil, kivi.loop.error("INVALID", "the function of get_or_set answered nil")
    end
    local added, err = self:add(key, value, clock:for_write(options))
    if added then
        return value
    elseif err then
        return nil, err
    end
    return self:get(key, clock:remaining() or {timeout = LEAST})
end

-- ---- leases: among processes, by a key beside the one that is computed ----

local LEASE = "kivi:lease:"
local PAUSE = 0.02 -- seconds between looks at another's lease

-- True: the lease is ours, by the mark. Else the value that was stored meanwhile; or nil and an error.
local function take_lease(self, key, mark, options, clock)
    while true do
        local how = clock:remaining()
        if not how then
            return false, timed_out("get_or_set")
        end
        local added, err = self:add(LEASE .. key, mark, {ttl = options.lease, timeout = how.timeout})
        if added or err then
            return added, nil, err
        end
        ngx.sleep(PAUSE)
        local value
        value, err = self:get(key, clock:remaining() or {timeout = LEAST})
        if value ~= nil or err then
            return false, value, err
        end
    end
end

local function compute_leased(self, key, compute, options, clock)
    if not (options and options.lease) then
        return compute_value(self, key, compute, options, clock)
    end
    local mark = ("%d %d %.6f %.17g"):format(ngx.worker.pid(), ngx.worker.id() or 0, ngx.now(), math.random())
    local ours, found, err = take_lease(self, key, mark, options, clock)
    if not ours then
        return found, err
    end
    local ok, value
    ok, value, err = pcall(compute_value, self, key, compute, options, clock)
    self:compare_and_delete(LEASE .. key, mark, {timeout = 1}) -- where that fails it ends by itself
    if not ok then
        error(value, 0)
    end
    return value, err
end

local function compute_first(self, keys, key, compute, options, clock)
    local semaphore, err = new_semaphore()
    local guarded = semaphore and new_semaphore()
    if not guarded then
        return nil, kivi.loop.error("NO_MEMORY", err or "no semaphore")
    end
    local one = {semaphore = semaphore, guard = guarded, owner = running()}
    keys[key] = one
    local ok, value
    ok, one.thread = pcall(ngx.thread.spawn, guard, keys, key, one)
    one.thread = ok and one.thread -- where nothing can sleep there are no threads, and nobody waits
    ok, value, err = pcall(compute_leased, self, key, compute, options, clock)
    one.left = value == kivi.leave
    if not ok then
        one.failed, one.failure = true, value
    end
    finish(keys, key, one)
    if one.thread then
        ngx.thread.kill(one.thread)
    end
    if not ok then
        error(value, 0)
    end
    return value, err
end

-- ---- waiting ----

-- Waits for somebody else's computation, and then looks again; kivi.leave where that said that there is no value.
local function wait_for(keys, key, one, clock)
    repeat
        local how = clock:remaining()
        if not how then
            return timed_out("get_or_set")
        end
        one.semaphore:wait(math.min(how.timeout, SLICE))
        if not one.over and is_dead(one) then
            finish(keys, key, one)
        end
    until one.over
    if one.failed then
        error(one.failure, 0) -- what the function raised is raised for all who waited for it
    end
    return one.left and kivi.leave or nil
end

-- One that asks inside a function waits for nobody: two could wait for each other. What is first in the store decides.
local function take_part(self, keys, key, compute, options, clock)
    local one, inside = keys[key], line.is_inside()
    if one and (is_dead(one) or one.owner == running() and not inside) then
        finish(keys, key, one)
        one = nil
    end
    if not one then
        return compute_first(self, keys, key, compute, options, clock)
    elseif one.owner == running() then
        return nil, kivi.loop.error("INVALID", "get_or_set: the computation asks for the key it computes")
    elseif inside then
        return compute_value(self, key, compute, options, clock)
    end
    return wait_for(keys, key, one, clock)
end

function computing.get_or_set(self, key, compute, options)
    local clock, keys = new_clock(self, options), computations(self)
    while true do
        local how = clock:remaining()
        if not how then
            return timed_out("get_or_set")
        end
        local value, err = self:get(key, how)
        if value == nil and not err then
            value, err = take_part(self, keys, key, compute, options, clock)
        end
        if value == kivi.leave then
            return nil
        end
        if value ~= nil or err then
            return value, err
        end
    end
end

return computing
