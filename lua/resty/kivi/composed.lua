-- Methods made of several calls, each of which sleeps: update, get_or_set, and iterators.
local kivi = require "kivi"
local line = require "resty.kivi.line"
local new_semaphore = require("ngx.semaphore").new

local LARGEST_PAGE = 1000
local DAY = 86400 -- nginx has no longer timers
local LEAST = 0.001 -- seconds that a call is given

local composed = {}

-- ---- deadlines: the time that the caller's own functions take does not count ----

-- The time now: nginx's own stands still while a request runs.
local function time()
    ngx.update_time()
    return ngx.now()
end

local function new_clock(self, options)
    local left = options and options.timeout or self.timeout
    return {left = left, began = time()}
end

local function stop(clock)
    clock.left = clock.left - (time() - clock.began)
end

local function go_on(clock)
    clock.began = time()
end

-- Options for the next call; nil: the time is over.
local function remaining(clock, ttl)
    local left = clock.left - (time() - clock.began)
    return left > 0 and {timeout = left, ttl = ttl} or nil
end

local function timed_out(name, clock)
    return nil, kivi.loop.error("TIMEOUT", name .. ": the time is over")
end

local function check(name, position, value, wanted)
    if type(value) ~= wanted then
        error(("bad argument #%d to '%s' (%s expected, got %s)"):format(position, name, wanted,
            type(value)), 4)
    end
end

local function check_options(name, options, known)
    if options == nil then
        return
    end
    check(name, 3, options, "table")
    for option in pairs(options) do
        if not known[option] then
            error(("bad argument #3 to '%s' (unknown option '%s')"):format(name, tostring(option)), 4)
        end
    end
end

local ttl_options = {ttl = true, timeout = true}

-- ---- update ----

-- The one operation that writes what an update computed, if nothing changed since.
local function operation(key, value, version, ttl)
    local op = {key = key, if_version = version}
    if value == kivi.delete then
        op.op = "delete"
    else
        op.op, op.value, op.ttl = "set", value, ttl
        op["if"] = version == nil and "absent" or nil
    end
    return op
end

-- True, or false where somebody else wrote in between, or nil and an error.
local function write(self, op, options)
    local results, err = self:apply({op}, options)
    if not results then
        return nil, err
    end
    local result = results[1]
    if result.status == "OK" or (result.status == "NOT_FOUND" and op.op == "delete") then
        return true
    elseif result.status == "CONDITION" then
        return false
    end
    return nil, result.error or kivi.loop.error(result.status, "update: not written")
end

-- One round: true, or false where somebody else wrote in between, or nil and an error.
local function try_update(self, key, compute, options, clock, place)
    local how = remaining(clock)
    if not how then
        return timed_out("update")
    end
    line.stay(place)
    local current, version = self:get_versioned(key, how)
    if type(version) == "table" then
        return nil, version
    end
    if not remaining(clock) then -- now, and not when the function has done its work
        return timed_out("update")
    end
    stop(clock)
    line.stay(place)
    local value = line.call(compute, current)
    line.stay(place)
    go_on(clock)
    if value == nil or (value == kivi.delete and version == nil) then
        return true
    end
    how = {timeout = math.max(clock.left, LEAST)}
    return write(self, operation(key, value, version, options and options.ttl), how)
end

function composed.update(self, key, compute, options)
    check("update", 2, compute, "function")
    check_options("update", options, ttl_options)
    local clock, round = new_clock(self, options), 0
    while true do
        local place = line.take(self, key, ngx.now() + clock.left)
        local ok, done, err = pcall(try_update, self, key, compute, options, clock, place)
        line.give(place)
        if not ok then
            error(done, 0)
        elseif done ~= false then
            return done, err
        end
        round = round + 1
        if round > 2 then
            ngx.sleep(math.random() * math.min(0.001 * 2 ^ (round - 3), 0.01))
        end
    end
end

-- ---- get_or_set: one computation a worker, store and key ----

local computing = setmetatable({}, {__mode = "k"}) -- by store, then key

local function computations(self)
    local keys = computing[self]
    if not keys then
        keys = {}
        computing[self] = keys
    end
    return keys
end

-- Those who wait look again.
local function finish(keys, key, one)
    if keys[key] == one then
        keys[key] = nil
    end
    local sleepers = -one.semaphore:count()
    if sleepers > 0 then
        one.semaphore:post(sleepers)
    end
end

-- Computes and adds; nil and nil: another process was first, and its value is gone already.
local function compute_value(self, key, compute, options, clock)
    if not remaining(clock) then -- now, and not when the function has done its work
        return timed_out("get_or_set")
    end
    stop(clock)
    local value = compute()
    go_on(clock)
    if value == nil then
        return nil, kivi.loop.error("INVALID", "the function of get_or_set answered nil")
    end
    local how = {timeout = math.max(clock.left, LEAST), ttl = options and options.ttl}
    local added, err = self:add(key, value, how)
    if added then
        return value
    elseif err then
        return nil, err
    end
    return self:get(key, remaining(clock) or {timeout = LEAST})
end

local function compute_first(self, keys, key, compute, options, clock)
    local semaphore, err = new_semaphore()
    if not semaphore then
        return nil, kivi.loop.error("NO_MEMORY", err)
    end
    local one = {semaphore = semaphore, owner = coroutine.running()}
    keys[key] = one
    local ok, value
    ok, value, err = pcall(compute_value, self, key, compute, options, clock)
    if not ok then
        one.failed, one.failure = true, value
    end
    finish(keys, key, one)
    if not ok then
        error(value, 0)
    end
    return value, err
end

-- Waits for somebody else's computation. One that outlasts our time may have been killed: nobody waits for it any more.
local function wait_for(keys, key, one, clock)
    if one.owner == coroutine.running() then
        return nil, kivi.loop.error("INVALID", "get_or_set: the computation asks for the key it computes")
    end
    local how = remaining(clock)
    if how and one.semaphore:wait(math.min(how.timeout, DAY)) then
        if one.failed then
            error(one.failure, 0) -- what the function raised is raised for all who waited for it
        end
        return true
    end
    if keys[key] == one then
        keys[key] = nil
    end
    return timed_out("get_or_set")
end

function composed.get_or_set(self, key, compute, options)
    check("get_or_set", 2, compute, "function")
    check_options("get_or_set", options, ttl_options)
    local clock, keys = new_clock(self, options), computations(self)
    while true do
        local how = remaining(clock)
        if not how then
            return timed_out("get_or_set")
        end
        local value, err = self:get(key, how)
        if value ~= nil or err then
            return value, err
        end
        local one, done = keys[key], nil
        if one then
            done, err = wait_for(keys, key, one, clock)
        else
            value, err = compute_first(self, keys, key, compute, options, clock)
        end
        if value ~= nil or err then
            return value, err
        end
    end
end

-- ---- iterators, which raise what goes wrong ----

-- The next page; where some of its values cannot be read, also the error that says so.
local function next_page(self, prefix, options, left)
    options.limit = left and math.min(left, LARGEST_PAGE) or nil
    local page, err = self:page(prefix, options)
    if not page and not err.results then
        err.cursor = options.cursor
        error(err, 0)
    end
    page = page or err.results
    options.after, options.cursor = nil, page.cursor
    return page, err
end

local function iterate(self, prefix, options, left)
    local page, index, unreadable = nil, 0, nil
    return function()
        index = index + 1
        while not page or index > #page.keys do
            if unreadable then
                local err = unreadable
                unreadable = nil
                error(err, 0)
            elseif left == 0 or page and not page.cursor then
                return nil
            end
            page, unreadable = next_page(self, prefix, options, left)
            index = 1
        end
        left = left and left - 1
        if options.keys then
            return page.keys[index], page.ttls and page.ttls[index]
        end
        return page.keys[index], page.values[index], page.ttls and page.ttls[index]
    end
end

local function copy_options(options)
    local own = {}
    for name, value in pairs(options or {}) do
        own[name] = value
    end
    return own
end

function composed.scan(self, prefix, options)
    local own = copy_options(options)
    return iterate(self, prefix, own, own.limit)
end

function composed.keys(self, prefix, options)
    local own = copy_options(options)
    own.keys = true
    return iterate(self, prefix, own, own.limit)
end

return composed
