-- Iterators left early, stores closed and collected, memory that stays flat.
local kivi = require "kivi"
local support = require "support"

local function collect()
  collectgarbage()
  collectgarbage()
end

-- Resident memory in KiB.
local function resident()
  local statm = assert(io.open("/proc/self/statm"))
  local _, pages = statm:read("*n", "*n")
  statm:close()
  return pages * 4
end

describe("scans", function()
  local s
  before_each(function()
    s = support.open(support.lmdb())
    local many = {}
    for i = 1, 2500 do many[("k%05d"):format(i)] = i end
    assert(s:set_many(many))
  end)
  after_each(function() s:close() end)

  it("go on over pages", function()
    local count, last = 0, nil
    for key, value in s:scan("k") do
      count = count + 1
      assert.equal(count, value)
      last = key
    end
    assert.equal(2500, count)
    assert.equal("k02500", last)
  end)

  it("can be left, and more of them than there are readers", function()
    for _ = 1, 300 do
      for _, value in s:scan("k") do
        if value == 3 then break end
      end
    end
    collect()
    assert.is_true(s:set("k", 0))
    assert.equal(2501, s:count("k"))
  end)

  it("can be left by an error", function()
    for _ = 1, 20 do
      assert.is_false((pcall(function()
        for _ in s:scan("k") do error("out") end
      end)))
    end
    assert.equal(2500, s:count())
  end)

  it("can be closed, once and again", function()
    local iterate, scan = s:scan("k")
    assert.equal("k00001", (iterate(scan)))
    scan:close()
    scan:close()
    assert.is_nil((iterate(scan)))
    assert.has_error(function() iterate({}) end)
  end)

  it("are closed by the loop of Lua 5.4", function()
    if _VERSION ~= "Lua 5.4" then return end
    local _, scan, _, closing = s:scan("k")
    assert.equal(scan, closing)
    assert.is_function(getmetatable(scan).__close)
  end)

  it("raise that the store was closed on their way", function()
    local seen = 0
    local ok, err = pcall(function()
      for _ in s:scan("k") do
        seen = seen + 1
        if seen == 10 then s:close() end
      end
    end)
    assert.is_false(ok)
    assert.equal("CLOSED", err.code)
    assert.is_true(seen >= 10 and seen < 2500)
  end)

  it("keep their store while they run", function()
    local iterate, scan = support.open(support.lmdb()):scan()
    collect()
    assert.is_nil((iterate(scan)))
  end)

  it("see writes of their own loop as the store does, and end", function()
    local count = 0
    for key in s:keys("k") do
      count = count + 1
      s:delete(key)
    end
    assert.equal(2500, count)
    assert.equal(0, s:count("k"))
  end)

  it("raise a value that Lua cannot hold behind its page, and can go on", function()
    local raw = support.open("memory:skip" .. tostring({}):match("0x(%x+)"), { codec = "raw" })
    local same = support.open(raw:url(), { codec = "msgpack" })
    raw:set_many { a = "\1", b = "\129\192\1", c = "\3" }
    local iterate, scan = same:scan()
    assert.equal("a", (iterate(scan)))
    local key, value = iterate(scan)
    assert.equal("c", key)
    assert.equal(3, value)
    local ok, err = pcall(iterate, scan)
    assert.is_false(ok)
    assert.equal("UNREPRESENTABLE", err.code)
    assert.equal("b", err.key)
    assert.is_nil((iterate(scan)))
    assert.equal("\129\192\1", raw:get("b"))
  end)
end)

describe("stores", function()
  it("close with <close>, and are collected", function()
    local url = support.lmdb()
    if _VERSION == "Lua 5.4" then
      local kept = load([[
        local kivi, url = ...
        local kept
        do
          local s <close> = assert(kivi.open(url))
          s:set("k", 1)
          kept = s
        end
        return kept]])(kivi, url)
      assert.equal("CLOSED", select(2, kept:get("k")).code)
    end
    for i = 1, 200 do assert(support.open(url):set("k", i)) end
    collect()
    assert.equal(200, support.open(url):get("k"))
  end)

  it("can be used by finalisers, also of a conversion", function()
    local s = support.open("memory:")
    s:set("big", (function()
      local list = {}
      for i = 1, 2000 do list[i] = { text = "text " .. i } end
      return list
    end)())
    local ran = 0
    local function finaliser()
      ran = ran + 1
      assert(s:set("ran", { ran }))
      assert(s:get("big"))
    end
    local function garbage()
      if newproxy then
        getmetatable(newproxy(true)).__gc = finaliser
      else
        setmetatable({}, { __gc = finaliser })
      end
    end
    for _ = 1, 20 do
      for _ = 1, 5 do garbage() end
      assert.equal(2000, #s:get("big"))
      collectgarbage("step", 100)
    end
    collect()
    assert.equal(100, ran)
    assert.equal(100, s:get("ran")[1])
  end)

  it("keep memory flat over many calls", function()
    local s = support.open(support.lmdb())
    local value = { name = "Ada", tags = { "x", "y" }, n = kivi.int("18446744073709551615"),
      bin = kivi.bin("b"), at = kivi.timestamp(5) }
    local function work(count)
      for i = 1, count do
        local key = "k" .. i % 50
        s:set(key, value)
        s:get(key)
        s:get("missing")
        s:get("")
        s:set(key, { bad = print })
        pcall(s.get, s)
        pcall(s.set, s, key, { 1 }, { bad = 1 })
        s:get_many { key, "missing" }
        s:increment("n")
        pcall(s.update, s, key, function() error("x") end)
        s:apply { { op = "check", key = key, ["if"] = "absent" } }
        if i % 50 == 0 then
          for _ in s:scan("k", { limit = 10 }) do break end
          s:page("k", { limit = 10 })
        end
      end
    end
    work(3000)
    collect()
    local before, memory = resident(), collectgarbage("count")
    work(10000)
    collect()
    assert.is_true(collectgarbage("count") - memory < 64, "Lua's memory grew")
    assert.is_true(resident() - before < 1500, "resident memory grew by " .. resident() - before .. " KiB")
  end)

  it("run in coroutines", function()
    local s = support.open("memory:")
    local threads = {}
    for i = 1, 10 do
      threads[i] = coroutine.wrap(function()
        s:set("k" .. i, { i })
        coroutine.yield()
        return s:get("k" .. i)[1]
      end)
      threads[i]()
    end
    for i = 1, 10 do assert.equal(i, threads[i]()) end
  end)

  if rawget(_G, "jit") then
    it("go on in a child after fork, with calls of its own", function()
      local ffi = require "ffi"
      ffi.cdef "int fork(void); int waitpid(int, int *, int); void _exit(int);"
      for _, url in ipairs { support.lmdb(), support.redis() } do
        local s = support.open(url)
        s:set("who", "parent")
        local child = ffi.C.fork()
        if child == 0 then
          local ok = pcall(function()
            assert(s:get("who") == "parent")
            assert(s:set("child", { 1 }))
            for key in s:scan() do assert(key == "who" or key == "child") end
          end)
          ffi.C._exit(ok and 7 or 1)
        end
        local status = ffi.new("int[1]")
        assert.equal(child, ffi.C.waitpid(child, status, 0))
        assert.equal(7 * 256, status[0])
        assert.same({ 1 }, s:get("child"))
        assert.is_true(s:set("who", "again"))
        s:clear("", { all = true })
      end
    end)
  end

  it("stay known when the module is loaded once more", function()
    local list = kivi.array {}
    package.loaded.kivi, package.loaded.kivi_core = nil, nil
    local again = require "kivi"
    assert.equal("array", again.type(list))
    assert.is_true(again.open("memory:"):set("k", list))
  end)
end)
