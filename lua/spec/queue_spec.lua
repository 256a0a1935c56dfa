-- Queues: calls that are submitted, as event loops make them.
local core = require "kivi_core"
local support = require "support"

local function run(url, title)
  describe("a queue over " .. title, function()
    local queue, s, done

    before_each(function()
      queue = core.queue()
      s = assert(core.open(url, nil, queue))
      done = {}
    end)
    after_each(function()
      s:close()
      queue:close()
    end)

    local function take()
      return queue:take(function(pending, ...) done[pending] = { n = select("#", ...), ... } end)
    end
    local function wait(count)
      local taken, tries = 0, 0
      while taken < count do
        taken, tries = taken + take(), tries + 1
        assert(tries < 5000, "calls did not complete")
        if tries > 50 then support.sleep(0.001) end
      end
    end
    local function answer(pending)
      assert.equal("pending", type(pending) == "userdata" and "pending")
      wait(1)
      return (unpack or table.unpack)(done[pending], 1, done[pending].n)
    end

    it("answers what the call would have answered", function()
      assert.is_true(answer(s:set("k", { a = { 1, 2 } })))
      assert.same({ a = { 1, 2 } }, answer(s:get("k")))
      local value, err = answer(s:get("missing"))
      assert.is_nil(value)
      assert.is_nil(err)
      assert.is_true(answer(s:exists("k")))
      assert.equal(5, answer(s:increment("n", 5)))
      assert.is_true(answer(s:expire("k", 100)))
      assert.is_true(answer(s:ttl("k")) > 90)
      assert.same({ k = { a = { 1, 2 } }, n = 5 }, answer(s:get_many { "k", "none", "n" }))
      assert.equal(2, #answer(s:page()).keys)
      assert.is_true(answer(s:apply { { op = "delete", key = "k" } }).ok)
      assert.is_true(answer(s:health()).ok)
      assert.equal("WRONG_TYPE", select(2, answer(s:set("t", "x"))) or
        select(2, answer(s:increment("t"))).code)
      assert.equal("pairs", require("kivi").type(answer(s:set("m", { x = 1 })) and
        answer(s:get("m", { pairs = true }))))
      assert.is_number(answer(s:clear("", { all = true })))
    end)

    it("can be waited for", function()
      assert.is_false(queue:wait(0))
      s:set("k", 1)
      assert.is_true(queue:wait(30))
      wait(1)
      assert.is_false(queue:wait(0.001))
      for _, seconds in ipairs { -1, 0 / 0 } do assert.has_error(function() queue:wait(seconds) end) end
      queue:close()
      assert.has_error(function() queue:wait(0) end)
    end)

    it("carries many calls at once", function()
      for i = 1, 500 do s:set("k" .. i, i) end
      wait(500)
      local asked = {}
      for i = 1, 500 do asked[s:get("k" .. i)] = i end
      assert.is_true(queue:count() > 0)
      wait(500)
      for pending, i in pairs(asked) do assert.equal(i, done[pending][1]) end
      assert.equal(0, queue:count())
      assert.is_true(queue:descriptor() > 0)
      s:clear("", { all = true })
      wait(1)
    end)

    it("refuses at once what is wrong with the call", function()
      local pending, err = s:get("")
      assert.is_nil(pending)
      assert.equal("INVALID", err.code)
      assert.is_nil((s:set("k", print)))
      assert.has_error(function() s:get() end)
      assert.has_error(function() s:scan() end)
      assert.equal(0, take())
    end)

    it("waits for calls with a function", function()
      assert.is_true(s:update("u", function() return { 1 } end))
      assert.same({ 1 }, s:get_or_set("u", function() return 2 end))
      s:delete("u")
      wait(1)
    end)

    it("delivers the others where the function raises", function()
      for i = 1, 10 do s:set("r" .. i, i) end
      local calls, raised = 0, 0
      while calls < 10 do
        local ok, err = pcall(queue.take, queue, function()
          calls = calls + 1
          if calls % 2 == 0 then error("thrown " .. calls, 0) end
        end)
        if not ok then
          raised = raised + 1
          assert.truthy(err:find("^thrown "))
        end
      end
      assert.is_true(raised > 0)
      assert.equal(0, queue:count())
      s:clear("r")
      wait(1)
    end)

    it("cancels", function()
      local pending = s:get("k")
      pending:cancel()
      pending:cancel()
      wait(1)
      assert.is_not_nil(done[pending])
      pending:cancel()
      assert.equal("kivi pending call (done)", tostring(pending))
    end)

    it("drops what is in flight when it is closed", function()
      for i = 1, 100 do s:get("k" .. i) end
      queue:close()
      queue:close()
      assert.has_error(function() take() end)
      assert.equal("CLOSED", select(2, s:get("k")).code)
    end)

    it("is collected with calls in flight", function()
      local other = core.queue()
      local store = assert(core.open(url, nil, other))
      for i = 1, 20 do store:get("k" .. i) end
      store, other = nil, nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      assert.is_true(answer(s:set("k", 1)))
    end)
  end)
end

run("memory:queue", "memory")
run(support.lmdb(), "LMDB")
local redis = support.redis()
if redis then run(redis, "Redis") end
