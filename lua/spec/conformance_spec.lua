-- The contract through Lua, on every row of the conformance suite.
local kivi = require "kivi"
local support = require "support"

for _, row in ipairs(support.rows()) do
  local name, url = row[1], row[2]
  describe(name, function()
    local s, can

    setup(function()
      s = support.open(url)
      can = s:capabilities()
      s:clear("", { all = true })
    end)
    teardown(function()
      s:clear("", { all = true })
      s:close()
    end)

    it("reads what was set, and nil, nil where nothing is", function()
      local value, err = s:get("get:missing")
      assert.is_nil(value)
      assert.is_nil(err)
      assert.is_true(s:set("get:a", { name = "Ada", tags = { "x", "y" }, n = 3 }))
      assert.same({ name = "Ada", tags = { "x", "y" }, n = 3 }, s:get("get:a"))
      assert.is_true(s:exists("get:a"))
      assert.is_false(s:exists("get:missing"))
    end)

    it("takes keys of any bytes", function()
      for _, key in ipairs { "key:a\0b", "key:%41", "key:/x/../y", "key:\255\254", "key: ä" } do
        assert.is_true(s:set(key, key:len()))
        assert.equal(key:len(), s:get(key))
      end
      assert.equal(5, s:clear("key:"))
      assert.equal("INVALID", select(2, s:get("")).code)
      assert.equal("TOO_LARGE", select(2, s:get(("k"):rep(can.max_key_plain + 1))).code)
    end)

    it("adds, replaces and deletes", function()
      assert.is_true(s:add("add:a", 1))
      assert.is_false(s:add("add:a", 2))
      assert.is_false(s:replace("add:b", 2))
      assert.is_true(s:replace("add:a", 3))
      assert.equal(3, s:get("add:a"))
      assert.is_true(s:delete("add:a"))
      assert.is_false(s:delete("add:a"))
      assert.is_true(s:delete("add:a", { existed = false }))
    end)

    it("compares values, not bytes", function()
      s:set("cas:a", { a = 1, b = "x", c = { true, false } })
      assert.is_false(s:compare_and_set("cas:a", { a = 2, b = "x", c = { true, false } }, 0))
      assert.is_true(s:compare_and_set("cas:a", { c = { true, false }, b = "x", a = 1 }, "new"))
      assert.is_false(s:compare_and_set("cas:missing", 1, 2))
      assert.is_false(s:compare_and_delete("cas:a", "old"))
      assert.is_true(s:compare_and_delete("cas:a", "new"))
      assert.is_false(s:exists("cas:a"))
    end)

    it("increments exactly", function()
      assert.equal(1, s:increment("inc:a"))
      assert.equal(-9, s:increment("inc:a", -10))
      assert.equal(kivi.int("9007199254740993"), s:increment("inc:b", kivi.int("9007199254740993")))
      assert.equal(kivi.int("9007199254740993"), s:get("inc:b"))
      s:increment("inc:c", kivi.int("9223372036854775807"))
      assert.equal("OVERFLOW", select(2, s:increment("inc:c")).code)
      assert.equal(kivi.int("9223372036854775807"), s:get("inc:c"))
      s:set("inc:d", "text")
      assert.equal("WRONG_TYPE", select(2, s:increment("inc:d")).code)
    end)

    it("takes, and reads with a new expiry", function()
      s:set("take:a", "once")
      assert.equal("once", s:take("take:a"))
      assert.is_nil((s:take("take:a")))
      assert.is_nil((s:get_and_expire("take:b", 5)))
      s:set("take:b", "b")
      assert.equal("b", s:get_and_expire("take:b", 100))
      assert.is_true(s:ttl("take:b") > 90)
      assert.equal("b", s:get_and_expire("take:b", nil))
      assert.is_nil((s:ttl("take:b")))
    end)

    it("keeps time", function()
      local _, err = s:ttl("ttl:missing")
      assert.equal("NOT_FOUND", err.code)
      s:set("ttl:a", 1)
      local seconds, none = s:ttl("ttl:a")
      assert.is_nil(seconds)
      assert.is_nil(none)
      assert.is_true(s:expire("ttl:a", 100))
      assert.is_true(s:ttl("ttl:a") > 90 and s:ttl("ttl:a") <= 100 + can.ttl_resolution_ms / 1000)
      assert.is_true(s:persist("ttl:a"))
      assert.is_nil((s:ttl("ttl:a")))
      assert.is_false(s:expire("ttl:missing", 1))
      assert.is_false(s:persist("ttl:missing"))
      s:set("ttl:b", 1, { ttl = 100 })
      s:set("ttl:b", 2, { ttl = "keep" })
      assert.is_true(s:ttl("ttl:b") > 90)
      s:set("ttl:b", 3)
      assert.is_nil((s:ttl("ttl:b")))
      s:set("ttl:c", 1, { ttl = 0.05 })
      support.sleep(0.05 + can.ttl_resolution_ms / 1000 + 0.02)
      assert.is_nil((s:get("ttl:c")))
    end)

    it("updates with a function", function()
      assert.is_true(s:update("up:a", function(value)
        assert.is_nil(value)
        return { n = 1 }
      end))
      assert.is_true(s:update("up:a", function(value)
        value.n = value.n + 1
        return value
      end, { ttl = 100 }))
      assert.equal(2, s:get("up:a").n)
      assert.is_true(s:ttl("up:a") > 90)
      assert.is_true(s:update("up:a", function(value) return value end))
      assert.is_true(s:ttl("up:a") > 90)
      assert.is_true(s:update("up:a", function() return nil end))
      assert.equal(2, s:get("up:a").n)
      assert.is_true(s:update("up:a", function() return kivi.delete end))
      assert.is_false(s:exists("up:a"))
    end)

    it("computes what is missing once", function()
      local calls = 0
      local function make()
        calls = calls + 1
        return { made = true }
      end
      assert.is_true(s:get_or_set("once:a", make, { ttl = 100 }).made)
      assert.is_true(s:get_or_set("once:a", make).made)
      assert.equal(1, calls)
      assert.is_true(s:ttl("once:a") > 90)
    end)

    it("does nothing with a batch of no keys", function()
      assert.same({}, s:get_many({}))
      assert.is_true(s:set_many({}))
      assert.equal(0, s:delete_many({}))
      assert.same({ ok = true }, s:apply({}))
    end)

    it("reads, writes and deletes many", function()
      local pairs_, keys = {}, {}
      for i = 1, 20 do
        keys[i] = "many:" .. i
        pairs_[keys[i]] = { i = i }
      end
      assert.is_true(s:set_many(pairs_))
      keys[21] = "many:missing"
      assert.same(pairs_, s:get_many(keys))
      assert.equal(20, s:delete_many(keys))
      assert.same({}, s:get_many(keys))
    end)

    it("applies operations, each alone", function()
      s:set("op:a", 1)
      local results = assert(s:apply {
        { op = "set", key = "op:b", value = { 1 }, ["if"] = "absent" },
        { op = "set", key = "op:a", value = 2, if_equal = 1 },
        { op = "set", key = "op:a", value = 3, ["if"] = "absent" },
        { op = "check", key = "op:none", ["if"] = "present" },
        { op = "touch", key = "op:a", ttl = 100 },
        { op = "delete", key = "op:b" },
        { op = "increment", key = "op:n", by = 4 },
      })
      local statuses = {}
      for i, result in ipairs(results) do statuses[i] = result.status end
      assert.same({ "OK", "OK", "CONDITION", "CONDITION", "OK", "OK", "OK" }, statuses)
      assert.is_true(results[6].existed)
      assert.equal(4, results[7].integer)
      assert.equal(2, s:get("op:a"))
      assert.is_true(s:ttl("op:a") > 90)
    end)

    it("applies operations atomically, or says that it cannot", function()
      s:set("at:a", 1)
      s:delete_many { "at:b", "at:c" }
      local ops = {
        { op = "set", key = "at:b", value = 1 },
        { op = "check", key = "at:a", ["if"] = "absent" },
      }
      local results, err = s:apply(ops, { atomic = true })
      if can.atomic_max == 0 then
        assert.equal("UNSUPPORTED", err.code)
        return
      end
      assert.is_false(results.ok)
      assert.equal("ABORTED", results[1].status)
      assert.equal("CONDITION", results[2].status)
      assert.is_false(s:exists("at:b"))
      local value, version = s:get_versioned("at:a")
      assert.equal(1, value)
      assert.is_true(s:apply({
        { op = "set", key = "at:a", value = 2, if_version = version },
        { op = "set", key = "at:c", value = 3, ["if"] = "absent" },
      }, { atomic = true }).ok)
      assert.equal(3, s:get("at:c"))
    end)

    it("scans under a prefix", function()
      local expected = {}
      for i = 1, 25 do expected[("scan:%02d"):format(i)] = i end
      s:set_many(expected)
      s:set("scam", 0)
      local found = {}
      for key, value in s:scan("scan:") do found[key] = value end
      assert.same(expected, found)
      local keys = {}
      for key in s:keys("scan:") do keys[key] = true end
      assert.same(support.sorted(expected), support.sorted(keys))
      local few = 0
      for _ in s:scan("scan:", { limit = 3, keys = true }) do few = few + 1 end
      assert.equal(3, few)
      assert.equal(25, s:count("scan:"))
      s:set("scan:01", 1, { ttl = 100 })
      for key, value, ttl in s:scan("scan:0", { ttl = true }) do
        assert.equal(expected[key], value)
        if key == "scan:01" then assert.is_true(ttl > 90) else assert.is_false(ttl) end
      end
      if can.order == "bytes" then
        local first = s:scan("scan:", { after = "scan:24" })
        local iterate, at = s:scan("scan:", { after = "scan:24" })
        assert.is_function(first)
        assert.equal("scan:25", iterate(at))
        assert.is_nil((iterate(at)))
      end
      assert.equal(25, s:clear("scan:"))
      assert.equal(1, s:count("scam"))
    end)

    it("pages", function()
      local expected, found, cursor = {}, {}, nil
      for i = 1, 12 do expected["page:" .. i] = { i } end
      s:set_many(expected)
      repeat
        local page = assert(s:page("page:", { limit = 5, cursor = cursor }))
        for i, key in ipairs(page.keys) do found[key] = page.values[i] end
        cursor = page.cursor
      until not cursor
      assert.same(expected, found)
      local page = assert(s:page("page:", { keys = true, ttl = true }))
      assert.is_nil(page.values)
      assert.equal(#page.keys, #page.ttls)
      assert.equal("INVALID", select(2, s:page("page:", { cursor = "not a cursor" })).code)
    end)

    it("copies to another store", function()
      local target = support.open("memory:")
      s:set_many { ["copy:a"] = { 1, 2 }, ["copy:b"] = "x" }
      s:expire("copy:b", 100)
      local told = 0
      local done = assert(kivi.copy(s, target, { prefix = "copy:", progress = function() told = told + 1 end }))
      assert.equal(2, done.copied)
      assert.is_true(told > 0)
      assert.same({ 1, 2 }, target:get("copy:a"))
      assert.is_true(target:ttl("copy:b") > 90)
      assert.equal(2, kivi.copy(s, target, { prefix = "copy:", add_only = true }).skipped)
      target:close()
    end)

    it("tells about itself", function()
      assert.is_true(s:health().ok)
      assert.is_true(s:stats().calls > 0)
      assert.is_string(can.consistency)
      assert.equal(url:match("^%a+"), s:scheme())
      assert.is_true(tostring(s):find("kivi store", 1, true) ~= nil)
    end)
  end)
end
