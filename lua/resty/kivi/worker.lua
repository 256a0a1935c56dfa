-- What all requests of one nginx worker share: a queue, and a light thread that wakes those whose answers have come.
--
-- A request that waits sleeps on a semaphore. The reader (a light thread, there while there is something to do) reads
-- bytes from the queue's wake-up socket and takes all that is done in one call. A request looks for itself after each
-- second, and every 10 ms while no reader can be had (no timer or connection left), so none depends on the reader.
--
-- A waiting request may be killed (its client went away, ngx.thread.kill): then nobody waits on its semaphore
-- any more. A tick once a second finds and cancels what it asked for; the answer is dropped when it comes.
--
-- A write that nobody waits for has a function instead of a waiter, which is told how it ended.
local kivi = require "kivi"
local new_semaphore = require("ngx.semaphore").new

local now, log, timer_at, exiting = ngx.now, ngx.log, ngx.timer.at, ngx.worker.exiting

local TICK = 1 -- seconds between looks for requests that were killed
local POLL = 0.01 -- seconds between looks for answers while no reader is there
local IDLE = 10 -- seconds without a call, until the reader ends
local QUIET = 100 -- seconds until the reader looks up by itself: only where no timer could be had for the tick
local DAY = 86400
local POOL = 256 -- waiters kept for the next calls

local worker = {}

local queue -- made by the first call that waits: after the fork
local waiting, in_flight = {}, 0 -- waiters by what they wait for
local unwaited = {} -- functions by what nobody waits for; they count as in flight
local pool, pooled = {}, 0
local reading, starting = false, false -- the reader is there; its timer is set
local next_start = 0 -- when to try and start one again
local busy_at = 0 -- when something was last in flight
local wake -- the reader's socket
local turn -- a semaphore, while somebody waits on it: this turn of the event loop has submitted something
local held = false

-- ---- waiters ----

local function give(waiter)
    waiter.count, waiter.a, waiter.b = nil, nil, nil
    if pooled < POOL and waiter.semaphore:count() == 0 then
        pooled = pooled + 1
        pool[pooled] = waiter
    end
end

local function take_waiter()
    if pooled > 0 then
        local waiter = pool[pooled]
        pool[pooled] = nil
        pooled = pooled - 1
        return waiter
    end
    local semaphore, err = new_semaphore()
    if not semaphore then
        return nil, kivi.loop.error("NO_MEMORY", "no semaphore to wait on: " .. err)
    end
    return {semaphore = semaphore, awake = false}
end

local function end_unwaited(pending, ...)
    local ended = unwaited[pending]
    if ended then
        unwaited[pending] = nil
        in_flight = in_flight - 1
        ended(...)
    end
end

-- A call is done: what it answers goes to its waiter, if there still is one.
local function deliver(pending, ...)
    local waiter = waiting[pending]
    if not waiter then
        return end_unwaited(pending, ...)
    end
    waiting[pending] = nil
    in_flight = in_flight - 1
    local sleeps = not waiter.awake and waiter.semaphore:count() < 0
    if not sleeps and not waiter.awake then
        give(waiter) -- killed
        return
    end
    waiter.count, waiter.a, waiter.b = select("#", ...), ...
    if sleeps then
        waiter.semaphore:post()
    end
end

-- ---- the reader ----

local function cancel_killed()
    for pending, waiter in pairs(waiting) do
        if not waiter.awake and waiter.semaphore:count() >= 0 then
            pending:cancel()
        end
    end
end

-- Whether the reader has nothing more to do.
local function is_over()
    if in_flight > 0 then
        busy_at = now()
        return false
    end
    return exiting() or now() - busy_at >= IDLE
end

-- Called early when the worker begins to exit: then the reader ends after the calls in flight.
local function tick(premature)
    if not reading then
        return
    end
    cancel_killed()
    if is_over() then
        wake:tell()
    elseif not premature then
        timer_at(TICK, tick)
    end
end

local function connect(socket)
    local err
    wake, err = kivi.loop.wake(queue)
    if not wake then
        return nil, err
    end
    socket:settimeouts(TICK * 1000, TICK * 1000, QUIET * 1000)
    local ok
    ok, err = socket:connect("unix:" .. wake:path())
    if not ok then
        return nil, err
    end
    return wake:accept()
end

local function read(socket)
    timer_at(TICK, tick)
    repeat
        queue:take(deliver)
        if is_over() then
            return
        end
        local bytes, err = socket:receiveany(4096)
    until not bytes and err ~= "timeout"
end

-- Lets what was submitted in one turn of the event loop travel together: nginx runs this after all that was ready.
local function release_turns()
    while true do
        turn:wait(DAY)
        held = false
        wake:hold(false)
    end
end

local function start_releaser()
    local err
    turn, err = new_semaphore()
    if not turn then
        log(ngx.WARN, "kivi: calls are submitted one by one: ", err)
        return nil
    end
    return ngx.thread.spawn(release_turns)
end

local function stop_releaser(releaser)
    if releaser then
        ngx.thread.kill(releaser)
    end
    turn, held = nil, false
    wake:hold(false)
end

local function run_reader()
    starting = false
    local socket = ngx.socket.tcp()
    local ok, err = connect(socket)
    if ok then
        local releaser = start_releaser()
        reading = true
        ok, err = pcall(read, socket)
        reading = false
        stop_releaser(releaser)
    end
    if not ok then
        log(ngx.ERR, "kivi: the reader of answers failed: ", err)
    end
    if wake then
        wake:close()
    end
    socket:close()
    next_start = now() + TICK
    wake = nil
end

-- While the worker exits there may be no next call that tries again.
local function start_reader()
    local ok, err
    if now() < next_start and (starting or not exiting()) then
        return
    end
    next_start = now() + TICK
    busy_at = now()
    ok, err = timer_at(0, run_reader)
    starting = ok and true or false
    if not ok then
        log(ngx.ERR, "kivi: no timer for the reader of answers: ", err)
    end
end

-- ---- for the store's methods ----

-- The worker's queue; nil and an error where there can be none.
function worker.queue()
    local err
    if not queue then
        queue, err = kivi.queue()
    end
    return queue, err
end

-- Calls of this worker that wait for their answers.
function worker.in_flight()
    return in_flight
end

-- Before a call is submitted: those of this turn of the event loop travel together.
function worker.hold()
    if turn and not held then
        held = true
        wake:hold(true)
        turn:post()
    end
end

-- Waits for what was submitted, and answers what the call answers: two values at most.
function worker.wait(pending, err)
    if not pending then
        return nil, err
    end
    local waiter
    waiter, err = take_waiter()
    if not waiter then
        pending:cancel()
        return nil, err
    end
    waiting[pending] = waiter
    in_flight = in_flight + 1
    repeat
        if not reading then
            start_reader()
        end
        waiter.awake = false
        waiter.semaphore:wait(reading and TICK or POLL)
        waiter.awake = true
        if not waiter.count then
            queue:take(deliver)
        end
    until waiter.count
    local count, a, b = waiter.count, waiter.a, waiter.b
    give(waiter)
    if count > 1 then
        return a, b
    end
    return a
end

-- Leaves what was submitted to itself: `ended` is called with what the call answers. May be called where nothing can wait.
function worker.leave(pending, ended)
    unwaited[pending] = ended
    in_flight = in_flight + 1
    if not reading then
        start_reader()
        queue:take(deliver)
    end
end

-- Blocks until nothing is in flight, for `seconds` at most: whether nothing is.
function worker.flush(seconds)
    ngx.update_time()
    local deadline = now() + seconds
    while in_flight > 0 and now() < deadline do
        queue:wait(math.min(deadline - now(), TICK))
        queue:take(deliver)
        ngx.update_time()
    end
    return in_flight == 0
end

return worker
