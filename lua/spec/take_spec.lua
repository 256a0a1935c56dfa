-- take and get_and_expire: what cannot be handed over stays where it is.
local core = require "kivi_core"
local support = require "support"

-- Bytes of a key, and the error's code.
local bad = {
  ["no msgpack"] = { "\146\1", "CORRUPT" },
  ["more than one value"] = { "\1\2", "CORRUPT" },
  ["a key that is nil"] = { "\129\192\1", "UNREPRESENTABLE" },
  ["keys that merge"] = { "\130\1\161a\203\63\240\0\0\0\0\0\0\161b", "UNREPRESENTABLE" },
}

local function run(title, url, submits)
  describe("taking over " .. title, function()
    local queue, s, raw

    before_each(function()
      queue = submits and core.queue() or nil
      s = assert(core.open(url, nil, queue))
      raw = support.open(url, { codec = "raw" })
    end)
    after_each(function()
      raw:clear("", { all = true })
      raw:close()
      s:close()
      if queue then queue:close() end
    end)

    -- What the call answers, or would have.
    local function answer(pending, err)
      if not submits then return pending, err end
      local found, tries = nil, 0
      repeat
        queue:take(function(_, value, problem) found = { value, problem } end)
        tries = tries + 1
        assert(tries < 5000, "the call did not complete")
        if tries > 50 then support.sleep(0.001) end
      until found
      return found[1], found[2]
    end
    local calls = {
      take = function() return answer(s:take("k")) end,
      ["get_and_expire"] = function() return answer(s:get_and_expire("k", 5)) end,
      ["get_and_expire for ever"] = function() return answer(s:get_and_expire("k", nil)) end,
    }

    it("leaves what cannot be read", function()
      for kind, case in pairs(bad) do
        for name, call in pairs(calls) do
          assert(raw:set("k", case[1], { ttl = 100 }))
          local value, err = call()
          assert.is_nil(value)
          assert.equal(case[2], err and err.code, name .. " of " .. kind)
          assert.equal(case[1], err.stored)
          assert.equal(case[1], raw:get("k"))
          assert.is_true(raw:ttl("k") > 50)
        end
      end
    end)

    it("takes what can be read", function()
      assert(raw:set("k", "\129\161a\146\1\192"))
      assert.same({ a = { 1, core.null } }, answer(s:get_and_expire("k", 100)))
      assert.is_true(raw:ttl("k") > 50)
      assert.same({ a = { 1, core.null } }, answer(s:get_and_expire("k", nil)))
      assert.is_nil((raw:ttl("k")))
      assert.same({ a = { 1, core.null } }, answer(s:take("k")))
      assert.is_false(raw:exists("k"))
      local value, err = answer(s:take("k"))
      assert.is_nil(value)
      assert.is_nil(err)
      assert(raw:set("k", bad["a key that is nil"][1]))
      assert.is_truthy(answer(s:take("k", { pairs = true })))
      assert.is_false(raw:exists("k"))
      assert(raw:set("k", "\194"))
      assert.is_false((answer(s:take("k"))))
    end)

    if submits then
      it("gives each value once", function()
        local wanted, sum, done = 0, 0, 0
        for i = 1, 100 do
          assert(raw:set("n" .. i, string.char(i)))
          wanted = wanted + i
        end
        for i = 1, 100 do
          assert(s:take("n" .. i))
          assert(s:take("n" .. i))
        end
        repeat
          queue:take(function(_, value, err)
            assert(not err, err)
            sum, done = sum + (value or 0), done + 1
          end)
        until done == 200
        assert.equal(wanted, sum)
        assert.equal(0, raw:count())
        assert.equal(0, queue:count())
      end)

      it("may be cancelled, and the queue closed", function()
        assert(raw:set("k", "\1"))
        local pending = s:take("k")
        pending:cancel()
        local value, err = answer(pending)
        assert.is_true(value == 1 or err.code == "CANCELLED" or err.code == "UNCERTAIN")
        assert(raw:set("k", "\1"))
        s:take("k")
        queue:close()
        queue = nil
        collectgarbage()
      end)
    end
  end)
end

for _, submits in ipairs { false, true } do
  local how = submits and " by a queue" or ""
  run("memory" .. how, "memory:take-spec" .. how:gsub(" ", "-"), submits)
  run("LMDB" .. how, support.lmdb(), submits)
  local redis = support.redis()
  if redis then run("Redis" .. how, redis, submits) end
end
