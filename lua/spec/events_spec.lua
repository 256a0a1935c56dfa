-- on_event: what is told, when, and that nothing of it harms a call.
local kivi = require "kivi"
local core = require "kivi_core"
local support = require "support"

local KEPT = 4096

local function collector()
  local seen = {}
  return seen, function(event) seen[#seen + 1] = event end
end

-- Those of a kind: their verbs.
local function verbs(events, kind)
  local found = {}
  for _, event in ipairs(events) do
    if event.kind == kind then found[#found + 1] = event.verb end
  end
  return found
end

local function run(title, url)
  describe("on_event of " .. title, function()
    it("is told of calls and vectors", function()
      local seen, tell = collector()
      local s = support.open(url(), { on_event = tell, event_keys = true })
      assert.is_true(s:set("key", "secret-value"))
      assert.equal("secret-value", s:get("key"))
      s:get("none")
      s:get_many { "key", "none" }
      assert.is_nil((s:increment("key")))
      assert.same({ "set", "get", "get", "get_many", "increment" }, verbs(seen, "call"))
      local told = {}
      for _, event in ipairs(seen) do
        assert.equal(s:scheme(), event.scheme)
        for _, value in pairs(event) do assert.not_equal("secret-value", value) end
        if event.kind == "call" then
          assert.is_true(event.duration > 0)
          told[#told + 1] = ("%s %s %s %d %s"):format(event.verb, event.status, tostring(event.error), event.items,
            tostring(event.key))
        end
      end
      assert.equal("set OK nil 1 key", told[1])
      assert.equal("get NOT_FOUND nil 1 none", told[3])
      assert.equal("get_many OK nil 2 nil", told[4])
      assert.equal("increment WRONG_TYPE WrongType 1 key", told[5])
      for _ in s:keys() do assert.equal("page", seen[#seen].verb) end
      assert.equal("page", seen[#seen].verb)
      assert.is_true(#verbs(seen, "vector") >= 1)
      s:clear("", { all = true })
      s:close()
    end)

    it("ends no call by what it raises", function()
      local s = support.open(url(), { on_event = function() error({}) end })
      assert.is_true(s:set("k", 1))
      assert.equal(1, s:get("k"))
      s:set("t", "x")
      local value, err = s:increment("t")
      assert.is_nil(value)
      assert.equal("WRONG_TYPE", err.code)
      s:clear("", { all = true })
      s:close()
    end)

    it("is not told of its own calls", function()
      local seen, s = {}, nil
      s = support.open(url(), { on_event = function(event)
        seen[#seen + 1] = event
        s:get("k")
        s:update("n", function(n) return (n or 0) + 1 end)
        for _ in s:scan() do end
      end })
      s:set("k", 1)
      s:get("k")
      local told = #seen
      assert.same({ "set", "get" }, verbs(seen, "call"))
      assert.equal(told, s:get("n"))
      s:clear("", { all = true })
      s:close()
    end)

    it("is told by whoever takes the answers of a queue", function()
      local seen, tell = collector()
      local queue = core.queue()
      local s = assert(core.open(url(), { on_event = tell }, queue))
      local done = 0
      for i = 1, 100 do s:set("k" .. i, i) end
      assert.equal(0, #seen)
      while done < 100 do
        assert.is_true(queue:wait(30))
        done = done + queue:take(function() end)
      end
      assert.equal(100, #verbs(seen, "call"))
      local cleared
      s:clear("", { all = true })
      while not cleared do
        assert.is_true(queue:wait(30))
        queue:take(function() cleared = true end)
      end
      queue:close() -- what its threads told has come by now
      s:close()
      assert.is_true(#verbs(seen, "vector") >= 1)
    end)
  end)
end

run("memory", function() return "memory:" end)
run("lmdb", function() return support.lmdb() end)
if support.redis() then run("redis", function() return support.redis() end) end

describe("on_event", function()
  it("is told of retries and reconnects", function()
    local seen, tell = collector()
    local s = support.open("memory:?fail_rate=0.3&seed=7", { on_event = tell })
    for i = 1, 50 do assert.is_true(s:set("k" .. i, i)) end
    assert.equal(50, #verbs(seen, "call"))
    assert.is_true(#verbs(seen, "retry") > 0 and #verbs(seen, "reconnect") > 0)
    for _, event in ipairs(seen) do
      if event.kind == "retry" then assert.is_true(event.attempt >= 1) end
    end
    s:close()
  end)

  it("is told of sweeps", function()
    local swept, tries = 0, 0
    local s = support.open("memory:", { on_event = function(event)
      if event.kind == "sweep" then swept = swept + event.items end
    end })
    for i = 1, 100 do s:set("k" .. i, i, { ttl = 0.001 }) end
    while swept < 100 do
      tries = tries + 1
      assert(tries < 20000, "nothing was swept")
      if tries > 100 then support.sleep(0.001) end
      s:set("other", 1)
    end
    s:close()
  end)

  it("counts what it had no room for", function()
    local seen, tell = collector()
    local source = support.open("memory:", { on_event = tell })
    local target = support.open("memory:")
    for i = 1, KEPT + 100 do source:set("k" .. i, i) end
    while #seen > 0 do table.remove(seen) end
    assert.is_truthy(kivi.copy(source, target, { batch = 1 }))
    assert.equal(KEPT + 1, #seen)
    assert.equal("dropped", seen[1].kind)
    assert.is_true(seen[1].items >= 100)
    assert.equal(1, #verbs(seen, "dropped"))
    source:close()
    target:close()
  end)

  it("must be a function", function()
    assert.has_error(function() kivi.open("memory:", { on_event = 3 }) end,
      "bad argument #2 to 'open' (option 'on_event' must be a function)")
    local s, err = kivi.open("memory:?no_such=1", { on_event = function() end })
    assert.is_nil(s)
    assert.equal("INVALID", err.code)
  end)

  it("goes with its store", function()
    local weak = setmetatable({}, { __mode = "v" })
    do
      local function tell() return weak end
      weak[1] = tell
      local s = support.open("memory:", { on_event = tell })
      s:set("k", 1)
    end
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil(weak[1])
  end)

  it("leaves no memory behind", function()
    local function round()
      local s = support.open("memory:", { on_event = function() end, event_keys = true })
      for i = 1, 20 do
        s:set("k", i)
        s:get("k")
      end
      s:close()
    end
    local function grown(rounds)
      collectgarbage()
      collectgarbage()
      local before = collectgarbage("count")
      for _ = 1, rounds do round() end
      collectgarbage()
      collectgarbage()
      return collectgarbage("count") - before
    end
    grown(100)
    assert.is_true(grown(500) < 50, "kilobytes")
  end)
end)
