-- Lines: of the requests of one worker that update a key, one does so at a time, the longest waiter first.
--
-- Whoever has not come back to the line for LONGEST seconds is in a function for so long, or was killed: it is passed over,
-- and versions decide. A request that is killed while it waits has no sleeper on its semaphore any more.
local new_semaphore = require("ngx.semaphore").new

local now = ngx.now
local running = coroutine.running
local getinfo = debug.getinfo

local LONGEST = 0.1

local line = {}

local lines = setmetatable({}, {__mode = "k"}) -- by store, then key: places in the order in which they came
local inside = setmetatable({}, {__mode = "k"}) -- coroutines in a function of update or get_or_set

local function find(places, place)
    for i = 1, #places do
        if places[i] == place then
            return i
        end
    end
end

-- The place of the first is free: it goes to the next who still waits.
local function pass_on(keys, key, places)
    table.remove(places, 1)
    while places[1] and not places[1].awake and places[1].semaphore:count() >= 0 do
        table.remove(places, 1) -- killed
    end
    local first = places[1]
    if not first then
        keys[key] = nil
        return
    end
    first.since = now()
    first.semaphore:post()
end

-- Whether this coroutine is in such a function. nginx gives the coroutine of a request that was killed to another one, with
-- the mark on it: so the stack says whether the mark is true.
function line.is_inside()
    local own = running() or line
    if not inside[own] then
        return false
    end
    local level = 2
    local frame = getinfo(level, "f")
    while frame and frame.func ~= line.call do
        level = level + 1
        frame = getinfo(level, "f")
    end
    inside[own] = frame and true
    return frame ~= nil
end

-- Waits for the turn at a key, until `deadline` at most: a place, to be given back; nil where it goes by versions alone.
function line.take(store, key, deadline)
    if line.is_inside() then
        return nil
    end
    local keys = lines[store]
    if not keys then
        keys = {}
        lines[store] = keys
    end
    local places = keys[key]
    if not places then
        local place = {keys = keys, key = key, since = now()}
        keys[key] = {place}
        return place
    end
    local semaphore = new_semaphore()
    if not semaphore then
        return nil
    end
    local place = {keys = keys, key = key, semaphore = semaphore}
    places[#places + 1] = place
    while true do
        local left = deadline - now()
        place.awake = false
        local turn = semaphore:wait(math.max(math.min(left, LONGEST), 0))
        place.awake = true
        if turn then
            return place
        end
        if left <= LONGEST then
            line.give(place)
            return nil
        end
        if now() - places[1].since >= LONGEST then
            pass_on(keys, key, places)
        end
    end
end

-- A step of the holder begins.
function line.stay(place)
    if place then
        place.since = now()
    end
end

function line.give(place)
    local places = place and place.keys[place.key]
    local index = places and find(places, place)
    if index == 1 then
        pass_on(place.keys, place.key, places)
    elseif index then
        table.remove(places, index)
    end
end

-- Calls a function of the caller's; what it calls takes no place. What it raises is raised once more.
function line.call(compute, current)
    local own = running() or line
    local before = inside[own]
    inside[own] = true
    local ok, value = pcall(compute, current)
    inside[own] = before
    if not ok then
        error(value, 0)
    end
    return value
end

return line
