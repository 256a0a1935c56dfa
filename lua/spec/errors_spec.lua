-- Failures as nil and an error, mistakes of usage as errors that are raised.
local kivi = require "kivi"
local support = require "support"

describe("errors", function()
  local s = support.open("memory:")

  it("are tables that print well", function()
    local value, err = s:get("")
    assert.is_nil(value)
    assert.equal("INVALID", err.code)
    assert.equal("Invalid", err.name)
    assert.equal("memory", err.backend)
    assert.is_false(err.retryable)
    assert.equal(0, err.native_code)
    assert.truthy(tostring(err):find("^INVALID: .+ %[memory%]$"))
    assert.equal("error", kivi.type(err))
    assert.has_error(function() assert(s:get("")) end)
  end)

  it("have the code of a store whose codes are text", function()
    local held = support.open("memory:?fail_keys=held&fail_status=busy")
    local _, err = held:set("held", 1)
    assert.equal("BUSY", err.code)
    assert.equal("busy", err.native_text)
    assert.equal("", select(2, s:get("")).native_text)
  end)

  it("of opening are answered", function()
    local store, err = kivi.open("nothing:here")
    assert.is_nil(store)
    assert.equal("INVALID", err.code)
    assert.equal("INVALID", select(2, kivi.open("memory:", { no_such_option = 1 })).code)
    assert.equal("INVALID", select(2, kivi.open("memory:", { timeout = "soon" })).code)
    assert.equal("INVALID", select(2, kivi.open("lmdb:/nonexistent/folder/data.mdb")) and
      select(2, kivi.open("not a url")).code)
  end)

  it("of another program's data come with the first call, where only the server knows", function()
    local url = "memory:?learns=true&layout=foreign&shape=stepped&login=5ms"
    local store = assert(kivi.open(url))
    for _ = 1, 2 do
      local _, err = store:get("k")
      assert.equal("INVALID", err.code)
      assert.truthy(err.message:find("name the codec", 1, true))
      assert.equal("INVALID", select(2, store:set("k", 1)).code)
    end
    store:close()
    store = assert(kivi.open(url, { codec = "json" }))
    assert(store:set("k", 1))
    assert.equal(1, store:get("k"))
    store:close()
  end)

  it("tells which stores and options there are", function()
    local known = {}
    for _, store in ipairs(kivi.stores()) do known[store.scheme] = store end
    assert.is_true(known.memory.available)
    assert.equal("lmdb", known.lmdb.backend)
    local options = {}
    for _, option in ipairs(assert(kivi.options("redis"))) do options[option.name] = option end
    assert.equal("duration", options.timeout.type)
    assert.equal("5s", options.timeout.default)
    assert.is_true(options.password.secret)
    assert.is_string(options.lanes.help)
    assert.equal("INVALID", select(2, kivi.options("nothing")).code)
  end)

  it("takes options as numbers, texts and booleans", function()
    local with = support.open("memory:", { timeout = 2.5, portable = true, namespace = "n", codec = "json",
      queue_limit = 10 })
    assert.equal("TOO_LARGE", select(2, with:get(("k"):rep(201))).code)
    assert.equal("json", with:codec())
  end)

  it("raises what is no argument of the method", function()
    local function raises(text, f, ...)
      local arguments, count = { ... }, select("#", ...)
      local ok, err = pcall(function() return f((unpack or table.unpack)(arguments, 1, count)) end)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(text, 1, true), tostring(err))
    end
    raises("string expected, got nil", s.get, s, nil)
    raises("string expected, got number", s.get, s, 5)
    raises("kivi store expected, got table", s.get, {}, "k")
    raises("kivi store expected, got userdata", s.get, io.stdout, "k")
    raises("kivi store expected, got userdata", s.get, kivi.bin("x"), "k")
    raises("kivi store expected, got no value", s.get)
    raises("value expected, got no value", s.set, s, "k")
    raises("unknown option 'tttl'", s.set, s, "k", 1, { tttl = 5 })
    raises("unknown option 'ttl'", s.get, s, "k", { ttl = 5 })
    raises("unknown option 'number'", s.get, s, "k", { 5 })
    raises("options table expected, got number", s.set, s, "k", 1, 5)
    raises("option 'ttl' must be seconds above 0", s.set, s, "k", 1, { ttl = "soon" })
    raises("option 'timeout' must be", s.get, s, "k", { timeout = "x" })
    raises("option 'limit' must be a count", s.page, s, "", { limit = 1.5 })
    raises("option 'keys' must be a boolean", s.scan, s, "", { keys = 1 })
    raises("option 'progress' must be a function", kivi.copy, s, s, { progress = 1 })
    raises("kivi store expected", kivi.copy, s, "memory:")
    raises("seconds expected, got string", s.expire, s, "k", "5")
    raises("function expected, got no value", s.update, s, "k")
    raises("function expected, got string", s.get_or_set, s, "k", "v")
    raises("table of keys expected", s.get_many, s, "k")
    raises("key 2 is a number", s.get_many, s, { "a", 5 })
    raises("a key is a number", s.set_many, s, { "a", "b" })
    raises("integer within int64 expected", s.increment, s, "k", "5")
    raises("operation 1: it must be a table", s.apply, s, { 5 })
    raises("operation 1: 'op' must be", s.apply, s, { { op = "sit", key = "k" } })
    raises("operation 1: 'key' must be a string", s.apply, s, { { op = "delete" } })
    raises("operation 2: 'value' is for set", s.apply, s,
      { { op = "delete", key = "k" }, { op = "set", key = "k" } })
    raises("operation 1: 'value' is for set", s.apply, s, { { op = "delete", key = "k", value = 1 } })
    raises("operation 1: it has more than one condition", s.apply, s,
      { { op = "delete", key = "k", ["if"] = "present", if_equal = 1 } })
    raises("operation 1: check needs if", s.apply, s, { { op = "check", key = "k" } })
    raises("operation 1: 'if' must be", s.apply, s, { { op = "delete", key = "k", ["if"] = "maybe" } })
    raises("operation 1: 'by' must be an integer", s.apply, s, { { op = "increment", key = "k", by = 1.5 } })
    raises("operation 1: 'ttl' must be", s.apply, s, { { op = "touch", key = "k", ttl = "soon" } })
    raises("operation 1: 'if_version' must be", s.apply, s, { { op = "delete", key = "k", if_version = {} } })
    raises("operation 1: it has op, key", s.apply, s, { { op = "delete", key = "k", colour = 1 } })
    raises("string expected", kivi.open)
    raises("option 'lanes' must be text, number or boolean", kivi.open, "memory:", { lanes = {} })
    raises("the URL holds a NUL", kivi.open, "memory:\0")
    raises("queue expected", kivi.open, "memory:", nil, "q")
    raises("exclude each other", s.scan, s, "", { after = "a", cursor = "b" })
    assert.is_false(s:exists("k"))
  end)

  it("may compute that there is no value, under a lease or not", function()
    local value, err = s:get_or_set("none", function() return kivi.leave end)
    assert.is_nil(value)
    assert.is_nil(err)
    assert.is_true(s:update("none", function() return kivi.leave end))
    assert.is_false(s:exists("none"))
    assert.equal(7, s:get_or_set("leased", function()
      assert.is_true(s:exists("kivi:lease:leased"))
      return 7
    end, { lease = 60 }))
    assert.is_false(s:exists("kivi:lease:leased"))
    s:set("kivi:lease:dead", 1, { ttl = 0.2 })
    assert.equal(8, s:get_or_set("dead", function() return 8 end, { lease = 60 }))
    assert.equal("INVALID", select(2, s:get_or_set("n", error, { lease = 0 })).code)
    assert.has_error(function() s:update("n", error, { lease = 1 }) end)
    s:delete_many { "leased", "dead" }
  end)

  it("names an empty key", function()
    local s = kivi.open("memory:")
    local function one() return 1 end
    for name, call in pairs {
      set = function() return s:set("", 1) end, get = function() return s:get("") end,
      increment = function() return s:increment("") end, take = function() return s:take("") end,
      ttl = function() return s:ttl("") end, update = function() return s:update("", one) end,
      get_or_set = function() return s:get_or_set("", one) end, set_many = function() return s:set_many { [""] = 1 } end,
      get_many = function() return s:get_many { "a", "" } end, delete_many = function() return s:delete_many { "" } end,
      apply = function() return s:apply { { op = "set", key = "", value = 1 } } end,
    } do
      local answer, err = call()
      assert.is_nil(answer)
      assert.equal(name .. " INVALID []", name .. " " .. err.code .. " [" .. tostring(err.key) .. "]")
    end
    assert.equal("", select(2, s:set("", print)).key)
    assert.equal("", select(2, s:set_many { [""] = print }).key)
    assert.is_nil(select(2, s:page("", { cursor = "no cursor" })).key)
  end)

  it("hints at what a program has", function()
    local _, err = kivi.open("memory:", { xyzzy = 1 })
    assert.equal('no option "xyzzy" for memory: kivi.options("memory") lists those there are', err.message)
  end)

  it("names the key of a value that is refused", function()
    local function refused(value, err)
      assert.is_nil(value)
      assert.equal("UNREPRESENTABLE", err.code)
      assert.equal("k", err.key)
      assert.equal('key "k": value', err.message:sub(1, 14))
    end
    refused(s:set("k", print))
    refused(s:add("k", { print }))
    refused(s:replace("k", print))
    refused(s:compare_and_set("k", print, 1))
    refused(s:compare_and_set("k", 1, print))
    refused(s:compare_and_delete("k", print))
    refused(s:update("k", function() return print end))
    refused(s:get_or_set("k", function() return print end))
  end)

  it("has the failures of a batch that is refused before it is sent", function()
    local small = assert(kivi.open("memory:", { max_value = 1024 }))
    local big = ("x"):rep(5000)
    local function refused(key, code, value, err)
      assert.is_nil(value)
      assert.equal(code, err.code)
      assert.same({ [2] = key .. " " .. code }, { [2] = err.failures[2].key .. " " .. err.failures[2].code })
      assert.is_nil(err.failures[1])
    end
    refused("", "INVALID", small:get_many { "a", "" })
    refused("", "INVALID", small:delete_many { "a", "" })
    local function set(key, value) return { op = "set", key = key, value = value } end
    refused("b", "TOO_LARGE", small:apply { set("a", 1), set("b", big) })
    refused("b", "UNREPRESENTABLE", small:apply { set("a", 1), set("b", print) })
    refused("a", "INVALID", small:apply({ set("a", 1), set("a", 2) }, { atomic = true }))
    local _, err = small:set_many { b = big }
    assert.equal("b TOO_LARGE", err.failures[1].key .. " " .. err.failures[1].code)
    small:close()
  end)

  it("answers what was computed and is no time", function()
    local function refused(value, err)
      assert.is_nil(value)
      assert.equal("INVALID", err.code)
      return err
    end
    for _, ttl in ipairs { 0, -1, -0.5, 0 / 0, 1e300, math.huge, -math.huge } do
      refused(s:set("k", 1, { ttl = ttl }))
      refused(s:increment("n", 1, { ttl = ttl }))
      refused(s:set_many({ k = 1 }, { ttl = ttl }))
      refused(s:expire("k", ttl))
      refused(s:get_and_expire("k", ttl))
      local called = false
      refused(s:update("k", function() called = true return 1 end, { ttl = ttl }))
      refused(s:get_or_set("k", function() called = true return 1 end, { ttl = ttl }))
      assert.is_false(called)
      local err = refused(s:apply { { op = "set", key = "a", value = 1 }, { op = "touch", key = "b", ttl = ttl } })
      assert.equal("b", err.key)
      assert.equal("INVALID", err.failures[2].code)
    end
    refused(s:get("k", { timeout = 0 }))
    refused(s:page("", { timeout = -1 }))
    assert.equal("INVALID", select(2, pcall(s.scan, s, "", { timeout = 0 })).code)
    assert.is_false(s:exists("k"))
  end)

  it("of a value name its key in set_many", function()
    local ok, err = s:set_many { fine = 1, broken = { x = print } }
    assert.is_nil(ok)
    assert.equal("UNREPRESENTABLE", err.code)
    assert.truthy(err.message:find("value.x is a function", 1, true))
    assert.truthy(err.message:find('key "broken": ', 1, true) == 1)
    assert.equal("broken", err.key)
    assert.is_false(s:exists("fine"))
  end)

  it("of one item come with the results of all", function()
    local small = support.open("memory:?max_value=100")
    local results, err = small:apply {
      { op = "set", key = "a", value = 1 },
      { op = "set", key = "b", value = ("x"):rep(200) },
      { op = "increment", key = "n" },
    }
    assert.is_nil(results)
    assert.equal("TOO_LARGE", err.code)
    if err.results then
      assert.equal("TOO_LARGE", err.results[2].error.code)
      assert.equal(3, #err.results)
    end
    small:set("text", "x")
    results, err = small:apply { { op = "increment", key = "text" }, { op = "increment", key = "n2" } }
    assert.is_nil(results)
    assert.equal("WRONG_TYPE", err.code)
    assert.equal("WRONG_TYPE", err.results[1].status)
    assert.equal("WRONG_TYPE", err.results[1].error.code)
    assert.equal(1, err.results[2].integer)
  end)

  it("of functions unwind, whatever they raise", function()
    s:set("up", 1)
    for _, thrown in ipairs { "text", { 5 }, 7 } do
      local ok, err = pcall(s.update, s, "up", function() error(thrown, 0) end)
      assert.is_false(ok)
      assert.equal(thrown, err)
    end
    assert.is_false((pcall(s.get_or_set, s, "no", function() error("x") end)))
    assert.equal(5, s:get_or_set("no", function() return 5 end))
    assert.equal("INVALID", select(2, s:get_or_set("nil", function() return nil end)).code)
    assert.equal("UNREPRESENTABLE", select(2, s:update("up", function() return print end)).code)
    assert.equal(1, s:get("up"))
    local ok, err = pcall(kivi.copy, s, support.open("memory:"), { progress = function() error("stop", 0) end })
    assert.is_false(ok)
    assert.equal("stop", err)
    local done, why = kivi.copy(s, support.open("memory:"), { progress = function() return false end })
    assert.is_nil(done)
    assert.equal("CANCELLED", why.code)
    assert.is_number(why.progress.copied)
    local named, again = support.open("memory:copied-into-itself"), support.open("memory:copied-into-itself")
    done, why = kivi.copy(named, again)
    assert.is_nil(done)
    assert.equal("INVALID", why.code)
    assert.truthy(why.message:find("the same store", 1, true))
  end)

  it("of a function that yields are raised, not lost", function()
    local run = coroutine.wrap(function()
      return pcall(s.update, s, "up", function() coroutine.yield() end)
    end)
    assert.is_false((run()))
    assert.is_true(s:update("up", function(value) return value end))
  end)

  it("lets functions call the store", function()
    assert.is_true(s:update("nest", function()
      s:set("other", { 1 })
      return s:get_or_set("third", function() return s:get("other")[1] + 1 end)
    end))
    assert.equal(2, s:get("nest"))
  end)

  it("says that a store was closed, for as long as it is kept", function()
    local closed = support.open("memory:")
    closed:set("k", 1)
    closed:close()
    closed:close()
    for _, verb in ipairs { "get", "exists", "ttl", "take", "delete", "persist" } do
      local value, err = closed[verb](closed, "k")
      assert.is_nil(value)
      assert.equal("CLOSED", err.code)
    end
    assert.equal("CLOSED", select(2, closed:set("k", { 1 })).code)
    assert.equal("CLOSED", select(2, closed:page()).code)
    assert.is_string(closed:url())
  end)

  it("of time are told, and say whether to try again", function()
    local slow = support.open("memory:?shape=blocking&latency=200ms")
    local _, err = slow:get("k", { timeout = 0.02 })
    assert.equal("TIMEOUT", err.code)
    assert.is_true(err.retryable)
    _, err = slow:set("k", 1, { timeout = 0.02 })
    assert.truthy(err.code == "UNCERTAIN" or err.code == "TIMEOUT")
  end)

  it("of a server that is not there are transient", function()
    local none, err = kivi.open("redis://127.0.0.1:1/0", { timeout = 1 })
    if none then none, err = none:get("k") end
    assert.is_nil(none)
    assert.equal("UNAVAILABLE", err.code)
    assert.equal("redis", err.backend)
    assert.truthy(err.retryable)
  end)
end)
