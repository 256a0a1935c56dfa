-- Deadlines of methods made of several calls: the time that the caller's own functions take does not count.
local kivi = require "kivi"

local clock = {
    LEAST = 0.001 -- seconds that a call is given, or slept
}
clock.__index = clock

-- The time now: nginx's own stands still while a request runs.
local function time()
    ngx.update_time()
    return ngx.now()
end

function clock.new(store, options)
    return setmetatable({left = options and options.timeout or store.timeout, began = time()}, clock)
end

function clock:stop()
    self.left = self.left - (time() - self.began)
end

function clock:go_on()
    self.began = time()
end

-- Options for the next call; nil: the time is over.
function clock:remaining()
    local left = self.left - (time() - self.began)
    return left > 0 and {timeout = left} or nil
end

-- Options for the write of what was computed, which is made although the time is over.
function clock:for_write(options)
    return {timeout = math.max(self.left, clock.LEAST), ttl = options and options.ttl}
end

function clock.timed_out(name)
    return nil, kivi.loop.error("TIMEOUT", name .. ": the time is over")
end

return clock
