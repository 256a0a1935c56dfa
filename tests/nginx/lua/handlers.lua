-- What the locations of nginx.conf do. Stores are opened in the master, before the fork.
local kivi = require "resty.kivi"
local worker = require "resty.kivi.worker"
local calls = require "calls"

local function redis(options)
    return assert(kivi.open(os.getenv("KIVI_REDIS"), options))
end

local told = {}

local heard = {}

-- How often each verb ended with each status, and how often each other kind came.
local function hear(event)
    local name = event.kind == "call" and event.verb .. " " .. event.status or event.kind
    heard[name] = (heard[name] or 0) + event.items
end

local stores = {
    heard = redis {on_event = hear, timeout = 2},
    heard_lmdb = assert(kivi.open(os.getenv("KIVI_LMDB"), {on_event = hear})),
    raising = redis {on_event = function(event) error("a fault of its own: " .. event.kind) end},
    redis = redis(),
    told = redis {timeout = 1, on_failure = function(err, name) table.insert(told, name .. " " .. err.code .. " " .. err.key) end},
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

-- Calls of all sorts, and what was told of them.
function handlers.hear(store)
    heard = {}
    assert(store:set("heard", 1))
    assert(store:get("heard"))
    store:get("none")
    assert(store:set_many {heard = 1, seen = 2})
    assert(store:increment("heard"))
    assert(store:update("heard", function(count) return count + 1 end))
    local told = {}
    for name, count in pairs(heard) do
        if name ~= "vector" then
            told[#told + 1] = name .. " " .. count
        end
    end
    table.sort(told)
    answer(table.concat(told, ", "))
end

function handlers.told_of(store)
    store:get("heard")
    answer(heard[ngx.var.arg_what] or 0)
end

function handlers.value(store)
    answer(store:get(ngx.var.arg_key))
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

-- The seconds left after an update that says nothing of them, and after one that does.
function handlers.update_keeps(store)
    assert(store:set("expires", 1, {ttl = 1000}))
    assert(store:update("expires", function(value) return value + 1 end))
    local kept = store:ttl("expires")
    assert(store:update("expires", function(value) return value + 1 end, {ttl = 10}))
    ngx.say(math.ceil(kept / 100), " ", math.ceil(store:ttl("expires") / 10), " ", store:get("expires"))
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
    require("resty.kivi.metrics").start({redis = stores.redis, lmdb = stores.lmdb, ['a "b"'] = stores.memory},
        ngx.worker.count() > 1 and "kivi" or nil)
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

-- ---- writes that nobody waits for ----

function handlers.leave(phase)
    local ok, err = stores[ngx.var.store]:set("left:" .. phase, phase, {wait = false})
    if ok ~= true then
        ngx.log(ngx.ERR, "in ", phase, ": ", tostring(err))
    end
end

function handlers.left(store)
    local found = assert(store:get_many {
        "left:set", "left:rewrite", "left:access", "left:content", "left:header_filter", "left:body_filter", "left:log",
        "left:balancer"
    })
    local phases = {}
    for _, phase in pairs(found) do
        table.insert(phases, phase)
    end
    table.sort(phases)
    ngx.say(table.concat(phases, " "))
end

function handlers.count(name)
    stores[name]:increment("left", 1, {wait = false, ttl = 1000})
end

-- What was counted in the log phase, and what became of the calls.
function handlers.counted(store)
    local unwaited = store:stats().unwaited
    ngx.say(assert(store:get("left")), " ", unwaited.submitted, " ", unwaited.done, " ", unwaited.failed, " ", unwaited.refused)
end

function handlers.end_worker()
    for _, name in ipairs {"redis", "lmdb"} do
        stores[name]:set("ended", ngx.worker.pid(), {wait = false})
    end
    kivi.flush()
end

-- Ten at once, and what each of them says.
function handlers.leave_many(store)
    local said = {}
    for i = 1, 10 do
        local ok, err = store:increment("many", 1, {wait = false})
        said[i] = err and err.code or tostring(ok)
    end
    ngx.say(table.concat(said, " "))
end

function handlers.leave_badly(store)
    ngx.say(tostring(pcall(store.set, store, "key", 1, {wait = 1})), " ", tostring(pcall(store.get, store, "key", {wait = false})),
        " ", select(2, store:set("", 1, {wait = false})).code)
end

function handlers.told()
    ngx.say(#told, " ", told[#told] or "")
end

-- Each way to say it, with what is there afterwards.
function handlers.leave_each(store)
    local left = {wait = false, ttl = 100}
    local said = {
        store:set("a", 1, left), store:add("b", 2, left), store:replace("a", 3, {wait = false}),
        store:compare_and_set("b", 2, 4, {wait = false}), store:increment("c", 5, {wait = false}),
        store:set_many({d = 6, e = 7}, left), store:delete("d", {wait = false}),
        store:delete_many({"e"}, {wait = false}), store:expire("c", 50, {wait = false}),
        store:apply({{op = "set", key = "f", value = 8}}, {wait = false}), store:persist("a", {wait = false}),
        store:set_many({}, {wait = false}), store:set("g", 1, {wait = true}), store:compare_and_delete("g", 1, {wait = false})
    }
    ngx.say(table.concat({tostring(#said), tostring(left.wait)}, " "))
end

function handlers.left_each(store)
    local said = {}
    for _, key in ipairs {"a", "b", "c", "d", "e", "f", "g"} do
        table.insert(said, key .. "=" .. tostring((store:get(key))))
    end
    ngx.say(table.concat(said, " "))
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

local computes_for_ever = 0

function handlers.compute_for_ever(store)
    local value, err = store:get_or_set("for ever", function()
        computes_for_ever = computes_for_ever + 1
        ngx.sleep(3600)
    end, {timeout = 30})
    answer(value, err)
end

function handlers.compute_waits()
    ngx.say(computes_for_ever)
end

function handlers.compute_at_last(store)
    local begin = ngx.now()
    local value, err = store:get_or_set("for ever", function() return "at last" end, {timeout = 30})
    answer(value and ngx.now() - begin < 15 and value, err)
end

-- The same where it is not the request that is killed.
function handlers.compute_after_killed(store)
    local first = ngx.thread.spawn(function()
        store:get_or_set("killed", function() ngx.sleep(3600) end)
    end)
    local second = ngx.thread.spawn(function()
        return store:get_or_set("killed", function() return "at last" end, {timeout = 30})
    end)
    ngx.sleep(0.05)
    local begin = ngx.now()
    ngx.thread.kill(first)
    local _, value, err = ngx.thread.wait(second)
    answer(value and ngx.now() - begin < 15 and value, err)
end

-- The same where the killed thread's coroutine is given to the next at once.
function handlers.compute_on_recycled(store)
    local function compute_for_ever()
        store:get_or_set("recycled", function() ngx.sleep(3600) end)
    end
    for _ = 1, 3 do
        local thread = ngx.thread.spawn(compute_for_ever)
        ngx.sleep(0.05)
        ngx.thread.kill(thread)
    end
    local begin = ngx.now()
    local _, value, err = ngx.thread.wait(ngx.thread.spawn(function()
        return store:get_or_set("recycled", function() return "at last" end, {timeout = 30})
    end))
    answer(value and ngx.now() - begin < 15 and value, err)
end

-- Two that compute each other's key.
function handlers.compute_crossed(store)
    local function compute(own, other)
        return ngx.thread.spawn(function()
            return store:get_or_set(own, function()
                ngx.sleep(0.1)
                return (store:get_or_set(other, function() return "inner" end))
            end, {timeout = 30})
        end)
    end
    local begin, threads = ngx.now(), {compute("crossed:a", "crossed:b"), compute("crossed:b", "crossed:a")}
    local _, first, err = ngx.thread.wait(threads[1])
    local _, second, other_err = ngx.thread.wait(threads[2])
    answer(first and second and ngx.now() - begin < 15 and "both", err or other_err)
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

-- One that says that there is no value while others wait.
function handlers.compute_leaving(store)
    local ran, missed, threads = 0, 0, {}
    for i = 1, 5 do
        threads[i] = ngx.thread.spawn(function()
            local value, err = store:get_or_set("leaving", function()
                ran = ran + 1
                ngx.sleep(0.1)
                return kivi.leave
            end, {timeout = 5})
            missed = missed + (value == nil and err == nil and 1 or 0)
        end)
    end
    for i = 1, 5 do
        ngx.thread.wait(threads[i])
    end
    ngx.say(ran, " ", missed)
end

-- The value, computed by one worker at a time.
function handlers.compute_leased(store)
    local value, err = store:get_or_set("leased", function()
        assert(store:increment("leased:ran"))
        ngx.sleep(0.5)
        return "by " .. ngx.worker.pid()
    end, {lease = 60, timeout = 20})
    answer(value, err)
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
