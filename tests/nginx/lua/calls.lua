-- Every method of a store once, with what it must answer. Returns what was wrong, as lines; none: "".
local kivi = require "resty.kivi"

local wrong

local function same(found, wanted)
    if type(found) ~= "table" or type(wanted) ~= "table" then
        return found == wanted
    end
    for name, value in pairs(wanted) do
        if not same(found[name], value) then
            return false
        end
    end
    for name in pairs(found) do
        if wanted[name] == nil then
            return false
        end
    end
    return true
end

local function is(what, wanted, ...)
    local found, err = ...
    if not same(found, wanted) or (err ~= nil and type(err) == "table") then
        table.insert(wrong, ("%s: %s, %s, wanted %s"):format(what, tostring(found), tostring(err),
            tostring(wanted)))
    end
end

local function fails(what, code, found, err)
    if found ~= nil or type(err) ~= "table" or err.code ~= code then
        table.insert(wrong, ("%s: %s, %s, wanted nil and %s"):format(what, tostring(found),
            tostring(err), code))
    end
end

local function raises(what, message, f, ...)
    local ok, said = pcall(f, ...)
    if ok or not tostring(said):find(message, 1, true) then
        table.insert(wrong, ("%s: %s, wanted an error with '%s'"):format(what, tostring(said), message))
    end
end

local function one_key(s, key)
    is("set", true, s:set(key, {name = "Ada", list = {1, 2, 3}}))
    is("get", {name = "Ada", list = {1, 2, 3}}, s:get(key))
    is("exists", true, s:exists(key))
    is("add", false, s:add(key, 1))
    is("replace", true, s:replace(key, "old", {ttl = 100}))
    local left = s:ttl(key)
    is("ttl", true, left ~= nil and left > 90 and left <= 100)
    is("persist", true, s:persist(key))
    is("ttl of what never expires", nil, s:ttl(key))
    is("expire", true, s:expire(key, 50))
    is("get_and_expire", "old", s:get_and_expire(key, 200))
    is("compare_and_set", false, s:compare_and_set(key, "other", "new"))
    is("compare_and_set", true, s:compare_and_set(key, "old", "new"))
    is("compare_and_delete", false, s:compare_and_delete(key, "old"))
    local value, version = s:get_versioned(key)
    is("get_versioned", true, value == "new" and type(version) == "string")
    is("take", "new", s:take(key))
    is("get of what is missing", nil, s:get(key))
    is("what cannot be read", true, s:set(key, kivi.pairs {{kivi.null, 1}}, {ttl = 100}))
    for _, name in ipairs {"take", "get_and_expire"} do
        local taken, err = s[name](s, key)
        fails(name .. " of what cannot be read", "UNREPRESENTABLE", taken, err)
        is(name .. " of what cannot be read", "\129\192\1", err and err.stored)
        is("its expiry after " .. name, true, (s:ttl(key) or 0) > 50)
    end
    is("take as pairs", true, s:take(key, {pairs = true}) ~= nil)
    is("get of what was taken", nil, s:get(key))
    fails("ttl of what is missing", "NOT_FOUND", s:ttl(key))
    is("delete", false, s:delete(key))
    is("false is a value", true, s:set(key, false))
    is("false is a value", false, s:get(key))
    is("null is a value", true, s:set(key, kivi.null))
    is("null is a value", kivi.null, s:get(key))
    is("delete", true, s:delete(key))
end

local function numbers(s, key)
    is("increment", 5, s:increment(key, 5, {ttl = 100}))
    is("increment", 6, s:increment(key))
    is("increment keeps the expiry", true, (s:ttl(key) or 0) > 0)
    is("set", true, s:set(key, "text"))
    fails("increment of a text", "WRONG_TYPE", s:increment(key))
end

local function many(s, prefix)
    is("get_many of no keys", {}, s:get_many {})
    is("set_many of none", true, s:set_many {})
    is("delete_many of none", 0, s:delete_many {})
    is("apply of none", true, (s:apply {}).ok)
    is("set_many", true, s:set_many({[prefix .. 1] = 1, [prefix .. 2] = 2, [prefix .. 3] = 3}))
    is("get_many", {[prefix .. 1] = 1, [prefix .. 3] = 3}, s:get_many({prefix .. 1, prefix .. 3, prefix .. 9}))
    is("count", 3, s:count(prefix))
    local found, limited, keys = {}, 0, 0
    for key, value in s:scan(prefix) do
        found[key] = value
    end
    is("scan", {[prefix .. 1] = 1, [prefix .. 2] = 2, [prefix .. 3] = 3}, found)
    for key in s:scan(prefix, {limit = 2}) do
        limited = limited + (found[key] and 1 or 0)
    end
    is("scan with a limit", 2, limited)
    for key, left in s:keys(prefix, {ttl = true}) do
        keys = keys + (found[key] and left == false and 1 or 0)
    end
    is("keys with ttl", 3, keys)
    local page = s:page(prefix, {keys = true})
    is("page", 3, page and #page.keys)
    local results = s:apply({{op = "set", key = prefix .. 1, value = "x", ["if"] = "absent"},
                             {op = "increment", key = prefix .. 2, by = 40}})
    is("apply", true, results and results[1].status == "CONDITION" and results[2].integer == 42)
    is("delete_many", 2, s:delete_many({prefix .. 1, prefix .. 2, prefix .. 8}))
    is("clear", 1, s:clear(prefix))
end

-- Values that Lua cannot read hide no others.
local function unreadable(s, prefix)
    if s:scheme() == "memory" then
        return -- each one is its own
    end
    local raw = assert(kivi.open(s:url(), {codec = "raw"}))
    is("set_many", true, s:set_many({[prefix .. 1] = 1, [prefix .. 3] = 3}))
    is("set as another program does", true, raw:set(prefix .. 2, "plain"))
    local found, err = s:get_many({prefix .. 1, prefix .. 2, prefix .. 3})
    is("get_many", prefix .. 2, found == nil and err.failures[2].key)
    is("get_many", {[prefix .. 1] = 1, [prefix .. 3] = 3}, err.results)
    found = {}
    local ok
    ok, err = pcall(function()
        for key, value in s:scan(prefix) do
            found[key] = value
        end
    end)
    is("scan", {[prefix .. 1] = 1, [prefix .. 3] = 3}, not ok and found)
    is("scan", prefix .. 2, err.key)
    for key in s:scan(prefix, {cursor = err.cursor}) do
        table.insert(wrong, "scan behind the end gives " .. key)
    end
    fails("get", "CORRUPT", s:get(prefix .. 2))
    fails("update", "CORRUPT", s:update(prefix .. 2, function() return 1 end))
    is("update", prefix .. 2, select(2, s:update(prefix .. 2, function() return 1 end)).key)
    is("clear", 3, s:clear(prefix))
    raw:close()
end

local function functions(s, key)
    for i = 1, 2 do
        is("update", true, s:update(key, function(old) return (old or 0) + i end))
    end
    is("update", 3, s:get(key))
    is("update keeps an expiry", true, s:expire(key, 100) and s:update(key, function(old) return old end))
    is("update keeps an expiry", true, (s:ttl(key) or 0) > 90)
    is("update that leaves", true, s:update(key, function() return nil end, {ttl = 10}))
    is("update that leaves", 3, s:get(key))
    local tries = 0
    is("update against another", true, s:update(key, function(old)
        tries = tries + 1
        if tries == 1 then
            assert(s:set(key, 100))
        end
        return old + 1
    end))
    is("update against another", 101, tries == 2 and s:get(key))
    is("update inside an update", true, s:update(key, function(old)
        if old == 101 then -- once: it disturbs the outer one
            is("update inside", true, s:update(key, function(now) return now + 1 end, {timeout = 1}))
        end
        return old + 1
    end))
    is("update inside an update", 103, s:get(key))
    is("update that deletes", true, s:update(key, function() return kivi.delete end))
    is("update that deletes", false, s:exists(key))
    is("get_or_set", "computed", s:get_or_set(key, function() return "computed" end, {ttl = 100}))
    is("get_or_set of what is there", "computed", s:get_or_set(key, error))
    is("get_or_set with ttl", true, (s:ttl(key) or 0) > 0)
    is("delete", true, s:delete(key))
    fails("get_or_set of nothing", "INVALID", s:get_or_set(key, function() end))
    raises("get_or_set that raises", "no luck", s.get_or_set, s, key, function() error("no luck") end)
    raises("update that raises", "no luck", s.update, s, key, function() error("no luck") end)
    is("update after one that raised", true, s:update(key, function() return kivi.delete end, {timeout = 1}))
    is("get_or_set that leaves", nil, s:get_or_set(key, function() return kivi.leave end, {timeout = 1}))
    is("update that leaves", true, s:update(key, function() return kivi.leave end, {timeout = 1}))
    is("what leaves stores nothing", false, s:exists(key))
    is("get_or_set under a lease", true, s:get_or_set(key, function() return s:exists("kivi:lease:" .. key) end, {lease = 60}))
    is("a lease that is given back", false, s:exists("kivi:lease:" .. key))
    is("delete", true, s:delete(key))
    s:set("kivi:lease:" .. key, 1, {ttl = 0.2})
    is("a lease that ends", 2, s:get_or_set(key, function() return 2 end, {lease = 60}))
    is("delete", true, s:delete(key))
    is("after that", 1, s:get_or_set(key, function() return 1 end))
    is("delete", true, s:delete(key))
end

local function mistakes(s, key)
    raises("a key that is none", "bad argument #1 to 'get'", s.get, s, {})
    raises("an unknown option", "unknown option 'tll'", s.set, s, key, 1, {tll = 1})
    raises("an unknown option of update", "unknown option 'tll'", s.update, s, key, tostring, {tll = 1})
    raises("no function", "function expected", s.get_or_set, s, key, 1)
    for _, ttl in ipairs {0, -1, 0 / 0} do
        fails("a ttl that is none", "INVALID", s:set(key, 1, {ttl = ttl}))
        fails("one of update", "INVALID", s:update(key, error, {ttl = ttl}))
        fails("one of get_or_set", "INVALID", s:get_or_set(key, error, {ttl = ttl}))
    end
    fails("what no store can hold", "UNREPRESENTABLE", s:set(key, {users = {print}}))
    is("nothing was sent", false, s:exists(key))
end

local function about(s)
    is("health", "table", type(s:health()))
    is("capabilities", "table", type(s:capabilities()))
    is("stats", "table", type(s:stats()))
    is("url", "string", type(s:url()))
    is("codec", "msgpack", s:codec())
end

return function(store, prefix)
    wrong = {}
    store:clear(prefix)
    for i, part in ipairs {one_key, numbers, many, functions, mistakes, about, unreadable} do
        local ok, said = xpcall(part, debug.traceback, store, prefix .. i .. ":")
        if not ok then
            table.insert(wrong, tostring(said))
        end
    end
    is("nothing is left", 0, store:count(prefix .. "4"))
    store:clear(prefix)
    return table.concat(wrong, "\n")
end
