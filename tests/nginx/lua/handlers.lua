-- What the locations of nginx.conf do. Stores are opened in the master, before the fork.
local kivi = require "resty.kivi"
local worker = require "resty.kivi.worker"
local calls = require "calls"

local function redis(options)
    return assert(kivi.open(os.getenv("KIVI_REDIS"), options))
end

local stores = {
    redis = redis(),
    tcp = assert(kivi.open(os.getenv("KIVI_REDIS_TCP"))),
    lmdb = assert(kivi.open(os.getenv("KIVI_LMDB"))),
    memory = assert(kivi.open("memory:")),
    short = redis {timeout = 0.3}, -- seconds
    patient = redis {timeout = 60, io_timeout = 60},
    few = redis {queue_limit = 4, timeout = 60, io_timeout = 60}
}

local handlers = {waiting = worker.in_flight}

function handlers.run(name, store)
    return handlers[name](stores[store])
end

local function answer(value, err)
    if err then
        ngx.status = 503
        ngx.header["X-Code"] = err.code
        return ngx.say(err.code)
    end
    ngx.status = value == nil and 404 or 200
    return ngx.say(tostring(value))
end

function handlers.get(store)
    answer(store:get("key"))
end

function handlers.set(store)
    answer(store:set("key", ngx.var.arg_value or "value"))
end

function handlers.increment(store)
    answer(store:increment("counter", 1, {ttl = 100}))
end

function handlers.update(store)
    local mine
    local ok, err = store:update("updated", function(count)
        mine = (count or 0) + 1
        return mine
    end)
    answer(ok and mine, err)
end

-- The function works, without sleeping, for longer than the call may take; another write makes it work twice.
function handlers.update_slowly(store)
    local tries = 0
    local ok, err = store:update("slow", function()
        tries = tries + 1
        if tries == 1 then
            assert(store:set("slow", "another's"))
        end
        local over = os.clock() + 0.7
        repeat until os.clock() > over
        return "mine"
    end, {timeout = 0.5})
    answer(ok and store:get("slow") .. " " .. tries, err)
end

-- Sees what is read only after it was written by another request, of the same worker or not.
function handlers.mixed(store)
    local key = "mixed:" .. math.random(1000)
    local ok, err = store:set(key, {at = ngx.now(), pid = ngx.worker.pid()}, {ttl = 60})
    if ok then
        ok, err = store:get(key)
    end
    answer(ok and "done", err)
end

-- ---- the whole vocabulary, in each place where it may be used ----

function handlers.calls(store)
    ngx.say(calls(store, "content:"))
end

function handlers.calls_in_a_timer(store)
    local said
    assert(ngx.timer.at(0, function()
        local ok
        ok, said = pcall(calls, store, "timer:")
    end))
    while not said do
        ngx.sleep(0.01)
    end
    ngx.say(said)
end

function handlers.calls_in_coroutines(store)
    local inside = coroutine.wrap(function()
        return calls(store, "coroutine:")
    end)
    local thread = ngx.thread.spawn(function()
        return calls(store, "thread:")
    end)
    local said = inside()
    local _, more = ngx.thread.wait(thread)
    ngx.say(said .. more)
end

local started = {}

function handlers.start_worker()
    math.randomseed(ngx.worker.pid())
    for _, name in ipairs {"redis", "lmdb", "memory"} do
        started[name] = calls(stores[name], "init_worker:")
        stores[name]:set("started:" .. ngx.worker.id(), ngx.worker.pid())
    end
end

function handlers.calls_in_init_worker(store)
    for name, one in pairs(stores) do
        if one == store then
            ngx.say(started[name])
        end
    end
end

-- ---- phases ----

local trying, tried = {}, ""

function handlers.try(phase, name)
    local ok, err = stores[name]:set("phase", phase)
    local value, read_err = stores[name]:get("phase")
    local set_said = ok and "set" or err.code
    local get_said = read_err and read_err.code or (value == phase and "got") or "missed"
    table.insert(trying, ("%s: %s %s"):format(phase, set_said, get_said))
end

function handlers.content(name)
    handlers.try("content", name)
    ngx.say("done")
end

function handlers.keep_tried()
    tried, trying = table.concat(trying, "\n"), {}
end

function handlers.tried()
    ngx.say(tried)
end

-- Nothing can sleep below a C function that calls back.
function handlers.below_c(store)
    local err
    local text = ("x"):gsub("x", function()
        local _, why = store:get("key")
        err = why
    end)
    ngx.say(text, " ", err and err.code or "none", " ", tostring(err))
end

-- ---- waiting together, and being killed ----

local computed = 0

function handlers.compute(store)
    local value, err = store:get_or_set("computed:" .. ngx.var.arg_key, function()
        computed = computed + 1
        ngx.sleep(0.2)
        return computed
    end, {timeout = 5})
    answer(value, err)
end

function handlers.compute_for_ever(store)
    local value, err = store:get_or_set("for ever", function()
        ngx.sleep(3600)
    end, {timeout = 0.5})
    answer(value, err)
end

function handlers.compute_at_last(store)
    answer(store:get_or_set("for ever", function() return "at last" end, {timeout = 0.5}))
end

-- One that is killed in its function, one that is killed in line behind it, and one that waits for both.
function handlers.update_after_killed(store)
    local holder = ngx.thread.spawn(function()
        store:update("killed", function() ngx.sleep(3600) end)
    end)
    ngx.sleep(0.05)
    local waiter = ngx.thread.spawn(function()
        store:update("killed", function() return "never" end)
    end)
    ngx.thread.kill(waiter)
    ngx.thread.kill(holder)
    answer(store:update("killed", function(old) return (old or 0) + 1 end, {timeout = 5}) and store:get("killed"))
end

-- A function that raises while others wait for it: how often it ran, and how many it was raised for.
function handlers.compute_raising(store)
    local ran, raised, threads = 0, 0, {}
    for i = 1, 5 do
        threads[i] = ngx.thread.spawn(function()
            local ok, why = pcall(store.get_or_set, store, "raising", function()
                ran = ran + 1
                ngx.sleep(0.1)
                error("no luck", 0)
            end, {timeout = 5})
            raised = raised + (not ok and why == "no luck" and 1 or 0)
        end)
    end
    for i = 1, 5 do
        ngx.thread.wait(threads[i])
    end
    ngx.say(ran, " ", raised)
end

function handlers.kill_thread(store)
    local thread = ngx.thread.spawn(function()
        store:get("key")
    end)
    ngx.say(ngx.thread.kill(thread) and "killed" or "not killed")
end

-- Many calls of one request at once, more than their store's queue takes.
function handlers.burst(store)
    local threads, said = {}, {}
    for i = 1, 10 do
        threads[i] = ngx.thread.spawn(function()
            local value, err = store:get("key", {timeout = 0.3})
            return err and err.code or value
        end)
    end
    for i = 1, 10 do
        local _, what = ngx.thread.wait(threads[i])
        said[i] = tostring(what)
    end
    table.sort(said)
    ngx.say(table.concat(said, " "))
end

-- ---- memory ----

function handlers.memory()
    collectgarbage()
    collectgarbage()
    ngx.say(collectgarbage("count") * 1024)
end

return handlers
