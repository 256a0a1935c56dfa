-- Values that Lua cannot read, among others that it can.
local core = require "kivi_core"
local kivi = require "kivi"
local support = require "support"

local BAD = "\146\1" -- the beginning of an array
local TWICE = "\129\161m\130\161x\1\161x\2" -- {m = {x = 1, x = 2}}

local function run(url, title)
  describe("a value that cannot be read, in " .. title, function()
    local s, raw

    before_each(function()
      s = support.open(url, { codec = "msgpack" })
      raw = support.open(url, { codec = "raw" })
    end)
    after_each(function()
      s:clear("", { all = true })
      s:close()
      raw:close()
    end)

    local function is_named(key, value, err)
      assert.is_nil(value)
      assert.equal("CORRUPT", err.code)
      assert.equal(key, err.key)
      assert.equal('key "' .. key .. '": msgpack', err.message:sub(1, #key + 15))
    end

    it("has its key in the error of every call", function()
      for _, call in ipairs {
        function() return s:get("bad") end,
        function() return s:get_versioned("bad") end,
        function() return s:get_and_expire("bad", 60) end,
        function() return s:take("bad") end,
        function() return s:update("bad", function() return 1 end) end,
        function() return s:get_or_set("bad", function() return 1 end) end,
        function() return s:get_many { "bad" } end,
        function() return s:page() end
      } do
        raw:set("bad", BAD)
        is_named("bad", call())
      end
      raw:set("bad", BAD)
      local _, err = pcall(function() for _ in s:scan() do error("a pair was given") end end)
      is_named("bad", nil, err)
    end)

    it("is shown so that it hides nothing", function()
      for key, shown in pairs { ["a\nb\27"] = "a\\x0ab\\x1b", ["\255"] = "\\xff", ["\195\169\\"] = "\195\169\\\\",
        [("x"):rep(70)] = ("x"):rep(64) .. "..." } do
        raw:set(key, BAD)
        local _, err = s:get(key)
        assert.equal(key, err.key)
        assert.equal('key "' .. shown .. '": ', err.message:sub(1, #shown + 8))
      end
    end)

    it("is told beside the others of get_many", function()
      s:set_many { a = 1, c = kivi.null }
      raw:set("b", BAD)
      raw:set("d", TWICE)
      local found, err = s:get_many { "a", "b", "missing", "c", "d", "b" }
      assert.is_nil(found)
      assert.equal("b", err.key)
      assert.same({ a = 1, c = kivi.null }, err.results)
      local told = {}
      for position, failure in pairs(err.failures) do told[position] = failure.code .. " " .. failure.key end
      assert.same({ [2] = "CORRUPT b", [5] = "UNREPRESENTABLE d", [6] = "CORRUPT b" }, told)
      assert.truthy(err.failures[5].message:find('key "d": value.m.x', 1, true) == 1, err.failures[5].message)
      assert.truthy(tostring(err):find('CORRUPT: key "b"', 1, true) == 1)
    end)

    local function fill()
      local good, bad = {}, {}
      for i = 1, 100 do
        local key = ("k%03d"):format(i)
        if i % 2 == 0 then
          s:set(key, i)
          good[key] = i
        else
          raw:set(key, BAD)
          bad[key] = true
        end
      end
      return good, bad
    end

    -- What page after page gives, and the keys of what it tells.
    local function walk(limit)
      local found, told, cursor = {}, {}, nil
      repeat
        local page, err = s:page("", { limit = limit, cursor = cursor })
        if err then
          for _, failure in pairs(err.failures) do told[failure.key] = true end
          assert.truthy(#err.cursor > 0)
        end
        local pairs_of = page or err.results
        for i, key in ipairs(pairs_of.keys) do found[key] = pairs_of.values[i] end
        cursor = pairs_of.cursor
      until not cursor
      return found, told
    end

    it("ends no walk by pages", function()
      local good, bad = fill()
      for _, limit in ipairs { 1, 7, 1000 } do
        local found, told = walk(limit)
        assert.same(good, found)
        assert.same(bad, told)
      end
    end)

    it("ends no scan: with its cursor another goes on", function()
      local good, bad = fill()
      local once = s:capabilities().scan_once -- a server whose table grows meanwhile may give some again
      local found, told, cursor, rounds = {}, {}, nil, 0
      repeat
        local ok, err = pcall(function()
          for key, value in s:scan("", { cursor = cursor }) do
            assert.is_true(found[key] == nil or not once)
            found[key] = value
          end
        end)
        if not ok then
          for _, failure in pairs(err.failures) do told[failure.key] = true end
          cursor = err.cursor
        end
        rounds = rounds + 1
      until ok
      assert.is_true(rounds > 1)
      assert.same(good, found)
      assert.same(bad, told)
    end)

    it("is told by a scan with a limit as well", function()
      raw:set("bad", BAD)
      local ok, err = pcall(function() for _ in s:scan("", { limit = 1 }) do error("a pair was given") end end)
      assert.is_false(ok)
      assert.equal("bad", err.key)
    end)

    it("has its key also where the call was submitted", function()
      s:set("a", 1)
      raw:set("bad", BAD)
      local queue = core.queue()
      local queued = assert(core.open(url, { codec = "msgpack" }, queue))
      local answers = {}
      for name, pending in pairs { get = queued:get("bad"), many = queued:get_many { "a", "bad" }, page = queued:page(),
        sum = queued:increment("bad") } do
        answers[pending] = name
      end
      local count = 0
      while count < 4 do
        count = count + queue:take(function(pending, _, err) answers[answers[pending]] = err end)
      end
      assert.equal("bad", answers.get.key)
      assert.equal("bad", answers.many.failures[2].key)
      assert.same({ a = 1 }, answers.many.results)
      assert.equal("bad", answers.page.key)
      assert.equal("bad", answers.sum.key)
      queued:close()
      queue:close()
    end)
  end)
end

run("memory:unreadable" .. tostring({}):match("0x(%x+)"), "memory")
run(support.lmdb(), "LMDB")
if support.redis() then run(support.redis(), "Redis") end

describe("a batch", function()
  it("that is refused names the item", function()
    local s = support.open "memory:"
    local done, err = s:set_many { ["b\n"] = print }
    assert.is_nil(done)
    assert.equal("b\n", err.key)
    assert.equal("b\n", err.failures[1].key)
    assert.truthy(err.message:find('key "b\\x0a": ', 1, true) == 1, err.message)
    done, err = s:apply { { op = "delete", key = "a" }, { op = "set", key = "b", value = { print } } }
    assert.is_nil(done)
    assert.equal("b", err.key)
    assert.equal("b", err.failures[2].key)
    done, err = s:delete_many { "a", "" }
    assert.is_nil(done)
    assert.equal("INVALID", err.failures[2].code)
  end)

  it("of which some failed names their keys", function()
    local s = support.open "memory:"
    s:set_many { a = "text", n = 1 }
    local done, err = s:apply { { op = "increment", key = "n" }, { op = "increment", key = "a" } }
    assert.is_nil(done)
    assert.equal("a", err.key)
    assert.equal("a", err.failures[2].key)
    assert.equal("a", err.results[2].error.key)
    assert.equal(2, err.results[1].integer)
    local _, missing = s:ttl("missing")
    assert.equal("missing", missing.key)
  end)
end)
