-- Methods made of several calls, each of which sleeps: update, get_or_set, and iterators.
local kivi = require "kivi"
local line = require "resty.kivi.line"
local computing = require "resty.kivi.computing"
local new_clock = require("resty.kivi.clock").new
local timed_out = require("resty.kivi.clock").timed_out

local LARGEST_PAGE = 1000
local LEAST = require("resty.kivi.clock").LEAST

local composed = {}

local function check(name, position, value, wanted)
    if type(value) ~= wanted then
        error(("bad argument #%d to '%s' (%s expected, got %s)"):format(position, name, wanted,
            type(value)), 4)
    end
end

-- Mistakes are raised; answers an error where a time that may have been computed is none.
local function check_options(name, options, known)
    if options == nil then
        return
    end
    check(name, 3, options, "table")
    for option in pairs(options) do
        if not known[option] then
            error(("bad argument #3 to '%s' (unknown option '%s')"):format(name, tostring(option)), 4)
        end
        local value = options[option]
        if type(value) == "number" and not (value > 0) then
            return kivi.loop.error("INVALID", ("%s: option '%s' must be seconds above 0, got %g"):format(name, option, value))
        end
    end
end

local ttl_options = {ttl = true, timeout = true}
local compute_options = {ttl = true, timeout = true, lease = true}

-- ---- update ----

-- The one operation that writes what an update computed, if nothing changed since.
local function operation(key, value, version, ttl)
    local op = {key = key, if_version = version}
    if value == kivi.delete then
        op.op = "delete"
    else
        op.op, op.value, op.ttl = "set", value, ttl or version and "keep" or nil
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
    local how = clock:remaining()
    if not how then
        return timed_out("update")
    end
    line.stay(place)
    local current, version = self:get_versioned(key, how)
    if type(version) == "table" then
        return nil, version
    end
    if not clock:remaining() then -- now, and not when the function has done its work
        return timed_out("update")
    end
    clock:stop()
    line.stay(place)
    local value = line.call(compute, current)
    line.stay(place)
    clock:go_on()
    if value == nil or value == kivi.leave or (value == kivi.delete and version == nil) then
        return true
    end
    how = clock:for_write(options)
    return write(self, operation(key, value, version, how.ttl), {timeout = how.timeout})
end

function composed.update(self, key, compute, options)
    check("update", 2, compute, "function")
    local refused = check_options("update", options, ttl_options)
    if refused then
        return nil, refused
    end
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
            ngx.sleep(LEAST + math.random() * math.min(0.001 * 2 ^ (round - 3), 0.01))
        end
    end
end

function composed.get_or_set(self, key, compute, options)
    check("get_or_set", 2, compute, "function")
    local refused = check_options("get_or_set", options, compute_options)
    if refused then
        return nil, refused
    end
    return computing.get_or_set(self, key, compute, options)
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
