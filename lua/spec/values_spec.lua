-- Every type of value, as it is written and as it comes back, on every Lua.
local kivi = require "kivi"
local support = require "support"

local function hex(text)
  return (text:gsub("%s+", ""):gsub("%x%x", function(two) return string.char(tonumber(two, 16)) end))
end

local function to_hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

describe("values", function()
  local s, raw

  setup(function()
    local name = "memory:values" .. tostring({}):match("0x(%x+)")
    s = support.open(name)
    raw = support.open(name, { codec = "raw" })
  end)

  -- The stored bytes of a value.
  local function stored(value)
    assert(s:set("v", value))
    return to_hex(assert(raw:get("v")))
  end
  -- What stored bytes come back as.
  local function read(bytes, options)
    assert(raw:set("v", hex(bytes)))
    return s:get("v", options)
  end
  -- Bytes that come back as themselves when what was read is written.
  local function keeps(bytes)
    local value, err = read(bytes)
    assert.is_nil(err)
    assert.equal(bytes, stored(value))
    return value
  end

  it("holds scalars", function()
    assert.equal("c3", stored(true))
    assert.equal("c2", stored(false))
    assert.equal("c0", stored(kivi.null))
    assert.equal(kivi.null, keeps "c0")
    assert.equal(true, keeps "c3")
    assert.equal("a568656c6c6f", stored("hello"))
    assert.equal("a0", stored(""))
    assert.equal("hello", keeps "a568656c6c6f")
  end)

  it("holds integers of 64 bits exactly", function()
    local limits = {
      ["00"] = "0", ["7f"] = "127", ["cc80"] = "128", ["ff"] = "-1", ["e0"] = "-32", ["d0df"] = "-33",
      ["ce00010000"] = "65536", ["cf0020000000000000"] = "9007199254740992",
      ["cf0020000000000001"] = "9007199254740993", ["d3ffdfffffffffffff"] = "-9007199254740993",
      ["cf7fffffffffffffff"] = "9223372036854775807", ["d38000000000000000"] = "-9223372036854775808",
      ["cf8000000000000000"] = "9223372036854775808", ["cfffffffffffffffff"] = "18446744073709551615",
    }
    for bytes, text in pairs(limits) do
      local value = keeps(bytes)
      if kivi.type(value) or support.has_integers then assert.equal(text, tostring(value)) end
      assert.is_true(value == kivi.int(text))
      assert.equal(bytes, stored(kivi.int(text)))
    end
  end)

  it("calculates with boxed integers", function()
    local big = kivi.int("18446744073709551615")
    assert.equal("int", kivi.type(big))
    assert.equal("18446744073709551614", tostring(big - 1))
    assert.equal("18446744073709551615", tostring((big - 1) + 1))
    assert.equal(kivi.int("9223372036854775807"), big:idiv(2))
    assert.is_true(big % 10 == 5)
    assert.is_true(big > kivi.int("9223372036854775808"))
    assert.is_true(kivi.int("9223372036854775808") <= big)
    assert.is_false(big < big)
    assert.is_true(big == kivi.int("18446744073709551615"))
    assert.equal(1, big:compare(5))
    assert.equal(-1, kivi.int("9223372036854775808"):compare(big))
    assert.equal(0, big:compare(big))
    assert.equal(-1, big:compare(math.huge))
    if _VERSION ~= "Lua 5.1" then -- these, and LuaJIT, compare only values of one type
      assert.is_true(big > 5 and 5 < big and big >= 1.5 and not (big <= -1))
      assert.is_true(kivi.int("9223372036854775808") > 2 ^ 63 - 1024 and big < math.huge)
    end
    assert.equal("number", type(big - big))
    assert.equal(1.5, (big - big) + 1.5)
    assert.is_true(big ~= kivi.int("18446744073709551614"))
    assert.equal("max 18446744073709551615.", "max " .. big .. ".")
    assert.equal(2 ^ 64, big:tonumber())
    assert.equal(2 ^ 63, big / 2)
    assert.has_error(function() return big + 1 end)
    assert.has_error(function() return -big end)
    assert.has_error(function() return big % 0 end)
    assert.has_error(function() return big:idiv(0) end)
    assert.has_error(function() return big + {} end)
    assert.equal(big - big, 0)
    assert.equal("-9223372036854775808", tostring(-kivi.int("9223372036854775808")))
    local odd = kivi.int("9007199254740993")
    assert.equal("9007199254740994", tostring(odd + 1):gsub("%.0$", ""))
  end)

  it("gives numbers back as numbers, whatever wrote them", function()
    for _, x in ipairs { 2 ^ 53, 2 ^ 53 + 2, 1e16, 1e17, 2 ^ 63, -2 ^ 63, 1.8e19, 2 ^ 64, 1e300, -2 ^ 53 - 2 } do
      assert(s:set("k", { x, [1] = x }))
      local back = s:get("k")[1]
      assert.equal("number", type(back))
      assert.equal(x, back)
      assert.is_true(s:compare_and_set("k", { x }, 5))
      if not support.has_integers and math.abs(x) > 2 ^ 53 then -- no position of an array: a key like others
        assert(s:set("k", { [x] = 1, a = 2 }))
        assert.same({ [x] = 1, a = 2 }, s:get("k"))
      end
    end
    -- what another language stored as an integer stays one, and exact
    for _, digits in ipairs { "9007199254740993", "-9007199254740993", "18446744073709551615", "10000000000000000" } do
      assert(s:set("k", kivi.int(digits)))
      assert.equal(digits, tostring((s:get("k"))))
    end
  end)

  it("refuses what is no integer of 64 bits", function()
    for _, bad in ipairs { "18446744073709551616", "-9223372036854775809", "1.5", "", "0x10", 1.5, 2 ^ 64, {} } do
      assert.has_error(function() kivi.int(bad) end)
    end
    assert.has_error(function() s:increment("i", kivi.int("9223372036854775808")) end)
    assert.has_error(function() s:increment("i", 1.5) end)
  end)

  it("holds floats", function()
    assert.equal("cb3ff8000000000000", stored(1.5))
    assert.equal("cb7ff0000000000000", stored(math.huge))
    assert.equal("cbfff0000000000000", stored(-math.huge))
    assert.equal("cb8000000000000000", stored(-0.0))
    assert.equal(-math.huge, 1 / keeps "cb8000000000000000")
    local nan = read "cb7ff8000000000000"
    assert.is_true(nan ~= nan)
    assert.equal("cb7ff8000000000001", stored(keeps "cb7ff8000000000001"))
    keeps "cb3ff0000000000000" -- 1.0
    keeps "cb43e0000000000000" -- 2^63
    keeps "cb7e37e43c8800759c" -- 1e300
    assert.equal("cb4008000000000000", stored(kivi.float(3)))
    assert.equal(1.5, read "ca3fc00000") -- a float32 comes widened
    assert.is_true(read "cb3ff0000000000000" == kivi.float(1))
  end)

  it("writes integral numbers by the rule of this Lua", function()
    local three = 3.0
    assert.equal(support.has_integers and "cb4008000000000000" or "03", stored(three))
    assert.equal(support.has_integers and "number" or "userdata", type(read "cb4008000000000000"))
    local boxed = kivi.float(3)
    assert.equal(4.5, boxed + 1.5)
    assert.equal("3.0", tostring(boxed))
    assert.is_true(boxed == kivi.float(3))
    assert.is_true(boxed < kivi.float(4))
  end)

  it("tells text from bytes", function()
    assert.equal("c402fffe", stored("\255\254"))
    assert.equal("\255\254", keeps "c402fffe")
    assert.equal("c40161", stored(kivi.bin("a")))
    local bin = keeps "c40161"
    assert.equal("bin", kivi.type(bin))
    assert.equal("a", tostring(bin))
    assert.equal(1, #bin)
    assert.is_true(bin == kivi.bin("a"))
    assert.is_true(bin ~= kivi.bin("b"))
    assert.equal("xax", "x" .. bin .. "x")
    keeps "c400"
    assert.equal("CORRUPT", select(2, read "a2fffe").code)
  end)

  it("holds ext types and timestamps", function()
    assert.equal("d40578", stored(kivi.Ext(5, "x")))
    local ext = keeps "d40578"
    assert.equal(5, ext.type)
    assert.equal("x", ext.data)
    assert.is_true(ext == kivi.Ext(5, "x"))
    assert.is_true(ext ~= kivi.Ext(6, "x"))
    keeps "c70080" -- type -128, no bytes
    local time = keeps "d6ff00000001"
    assert.equal(1, time.seconds)
    assert.equal(0, time.nanoseconds)
    assert.equal("1970-01-01T00:00:01Z", tostring(time))
    assert.equal("1970-01-01T00:00:01.25Z", tostring(kivi.timestamp(1, 250000000)))
    assert.equal(1.25, kivi.timestamp(1.25):tonumber())
    assert.is_true(kivi.timestamp(1) < kivi.timestamp(1, 1))
    assert.is_true(kivi.timestamp(1) <= time and kivi.timestamp(1) == time)
    keeps "d7ff0000000400000000" -- 2^34 is beyond 64 bits of this form: 1 ns and 0 s
    keeps "c70cff3b9ac9ffffffffffffffffff" -- one ns before 1970
    assert.is_true(keeps("c70cff000000007fffffffffffffff").seconds == kivi.int("9223372036854775807"))
    for _, bad in ipairs { { 128, "" }, { -1, "" }, { 1.5, "" }, { 1, {} } } do
      assert.has_error(function() kivi.Ext(bad[1], bad[2]) end)
    end
    assert.has_error(function() kivi.timestamp(1, 1e9) end)
    assert.has_error(function() kivi.timestamp("1") end)
  end)

  it("tells arrays from maps", function()
    assert.equal("93010203", stored({ 1, 2, 3 }))
    assert.equal("81a16101", stored({ a = 1 }))
    assert.equal("80", stored({}))
    assert.equal("90", stored(kivi.array {}))
    assert.equal("80", stored(kivi.map {}))
    assert.equal("810102", stored(kivi.map { 2 }))
    assert.equal("8101a178", stored(kivi.map { "x" }))
    assert.equal("81ffa178", stored(kivi.map { [-1] = "x" }))
    assert.equal("81c301", stored({ [true] = 1 }))
    assert.equal("81cb3ff800000000000001", stored({ [1.5] = 1 }))
    assert.equal("9101", stored(kivi.array { 1 }))
    assert.equal("920102", stored(kivi.array { 1, 2 }))
    assert.equal("9301c003", stored({ 1, kivi.null, 3 }))
    assert.same({ 1, kivi.null, 3 }, read "9301c003")
    keeps "90"
    keeps "80"
    keeps "810102"
    assert.same({ 2, [-1] = "x" }, read "820102ffa178")
    keeps "81c301"
    assert.equal("array", kivi.type(read "90"))
    assert.is_nil(kivi.type(read "9101"))
    assert.equal("map", kivi.type(read "810102"))
    local list = read "90"
    list[1] = "x"
    assert.equal("91a178", stored(list))
  end)

  it("holds nested values, to 128 deep", function()
    local deep = {}
    for _ = 1, 127 do deep = { deep } end
    assert.is_true(s:set("deep", deep))
    local back, depth = s:get("deep"), 0
    while back[1] do back, depth = back[1], depth + 1 end
    assert.equal(127, depth)
    assert.equal("UNREPRESENTABLE", select(2, s:set("deep", { deep })).code)
  end)

  it("holds large values", function()
    local text = ("ä"):rep(512 * 1024)
    assert.is_true(s:set("large", { text, ("\255"):rep(100000) }))
    local back = s:get("large")
    assert.is_true(back[1] == text)
    assert.equal(100000, #back[2])
    local list = {}
    for i = 1, 70000 do list[i] = i end
    s:set("large", list)
    assert.equal(70000, s:get("large")[70000])
  end)

  local function refused(value, path)
    s:set("kept", "before")
    local ok, err = s:set("kept", value)
    assert.is_nil(ok)
    assert.equal("UNREPRESENTABLE", err.code)
    assert.truthy(err.message:find(path, 1, true), err.message)
    assert.equal("before", s:get("kept"))
  end

  it("refuses what cannot be stored, naming where it is", function()
    refused(print, "value is a function")
    refused({ users = { {}, { id = print } } }, "value.users[2].id is a function")
    refused({ ["a b"] = coroutine.create(function() end) }, 'value["a b"] is a thread')
    refused({ ["\194\155\226\128\174"] = coroutine.create(function() end) }, 'value["\\xc2\\x9b\\xe2\\x80\\xae"] is a thread')
    refused({ io.stdout }, "value[1] is a userdata")
    refused({ 1, nil, 3 }, "holes")
    refused({ a = { [2] = 1 } }, "value.a is an array with holes")
    refused({ 1, x = 1 }, "value has integer and other keys")
    refused({ [0] = 1 }, "value has integer and other keys")
    refused(kivi.array { x = 1 }, "value must have the keys 1 to n")
    refused(kivi.map { [{}] = 1 }, "has a key that is no string")
    refused({ e = select(2, s:get("")) }, "value.e is an error")
    local cycle = { a = {} }
    cycle.a.b = cycle
    refused(cycle, "value.a.b contains itself")
    local shared = {}
    assert.is_true(s:set("kept", { shared, shared }))
  end)

  it("refuses to merge or drop keys when it reads, and leaves what is stored", function()
    local function unreadable(bytes, path)
      local value, err = read(bytes)
      assert.is_nil(value)
      assert.equal("UNREPRESENTABLE", err.code)
      assert.truthy(err.message:find(path, 1, true), err.message)
      assert.equal(bytes, to_hex(raw:get("v")))
    end
    unreadable("81c001", "value has a key") -- nil
    unreadable("81cb3ff000000000000001", "value has a key") -- 1.0
    unreadable("8201a178cb3ff0000000000000a179", "value has a key") -- 1 and 1.0
    unreadable("81cb7ff800000000000001", "value has a key") -- NaN
    unreadable("81c4016101", "value has a key") -- bin "a"
    unreadable("819001", "value has a key") -- an array
    unreadable("81a1788281a16101c001", "value.x has a key")
    unreadable("82a16101a16102", "value.a is there twice")
    unreadable("9182a16101a16102", "value[1].a is there twice")
    s:set("w", 1)
    local found, err = s:get_many { "w", "v" }
    assert.is_nil(found)
    assert.equal("v", err.key)
    local page
    page, err = s:page("v")
    assert.is_nil(page)
    assert.equal("v", err.key)
    assert.same({ "v" }, s:page("v", { keys = true }).keys)
  end)

  it("reads any map as pairs, and writes pairs", function()
    for _, bytes in ipairs { "81c001", "8201a178cb3ff0000000000000a179", "82a16101c4016102", "81900a", "80",
      "81a1788181a1610102" } do
      local value, err = read(bytes, { pairs = true })
      assert.is_nil(err)
      assert.equal("pairs", kivi.type(value))
      assert.equal(bytes, stored(value))
    end
    local value = read("82a16101a16102", { pairs = true })
    assert.same({ "a", 2 }, value[2])
    refused(value, "has the same key twice")
    assert.equal("82a1610102a162", stored(kivi.pairs { { "a", 1 }, { 2, "b" } }))
    refused(kivi.pairs { { 1, 2 }, { 1, 3 } }, "same key twice")
    refused(kivi.pairs { { 1 } }, "value[1] is no {key, value}")
    refused(kivi.pairs { 5 }, "value[1] is no {key, value}")
    refused(kivi.pairs { { "a", print } }, "value.a is a function")
    raw:set("p", hex "81c001")
    assert.equal("pairs", kivi.type(s:get_many({ "p" }, { pairs = true }).p))
    assert.equal("pairs", kivi.type((s:get_versioned("p", { pairs = true }))))
    for _, found in s:scan("p", { pairs = true }) do assert.equal(kivi.null, found[1][1]) end
    assert.equal(kivi.null, s:page("p", { pairs = true }).values[1][1][1])
    assert.equal("pairs", kivi.type(s:take("p", { pairs = true })))
  end)

  it("answers damaged bytes as an error", function()
    for _, bytes in ipairs { "c1", "92", "dd7fffffff01", "dfffffffff", "a568", "0101", "c60fffffff" } do
      assert.equal("CORRUPT", select(2, read(bytes)).code)
      assert.equal("CORRUPT", select(2, s:get_many { "v" }).code)
    end
  end)

  it("marks tables only where they have no metatable of somebody else", function()
    assert.has_error(function() kivi.array(setmetatable({}, {})) end)
    assert.has_error(function() kivi.map("x") end)
    local t = {}
    assert.equal(t, kivi.map(kivi.array(t)))
    assert.equal("map", kivi.type(t))
    assert.equal("null", kivi.type(kivi.null))
    assert.is_nil(kivi.type(5))
  end)

  it("reads tables without their metamethods", function()
    local proxy = setmetatable({ a = 1 }, { __index = function() error("asked") end,
      __pairs = function() error("asked") end, __len = function() error("asked") end })
    assert.equal("81a16101", stored(proxy))
  end)

  if rawget(_G, "jit") then
    it("takes LuaJIT's own 64-bit integers", function()
      local make = load or loadstring
      assert.equal("cf7fffffffffffffff", stored(make("return 9223372036854775807LL")()))
      assert.equal("cfffffffffffffffff", stored({ make("return -1ULL")() }):sub(3))
      assert.equal("ff", stored(make("return -1LL")()))
      assert.equal(5, s:increment("cdata", make("return 5LL")()))
      assert.equal("UNREPRESENTABLE", select(2, s:set("v", require("ffi").new("int[2]"))).code)
    end)
  end

  it("keeps to what the codec can hold", function()
    local json = support.open("memory:", { codec = "json" })
    assert.is_true(json:set("a", { 1, 2.5, "x", true, kivi.null, { a = "b" } }))
    assert.same({ 1, 2.5, "x", true, kivi.null, { a = "b" } }, json:get("a"))
    assert.equal("UNREPRESENTABLE", select(2, json:set("a", { x = kivi.bin("\255") })).code)
    assert.equal("UNREPRESENTABLE", select(2, json:set("a", { 0 / 0 })).code)
    assert.equal("x", json:get("a")[3])
    assert.is_true(raw:set("r", "bytes"))
    assert.equal("bytes", raw:get("r"))
    assert.is_true(raw:set("r", kivi.bin("bytes")))
    assert.equal("bytes", raw:get("r"))
    assert.equal("UNREPRESENTABLE", select(2, raw:set("r", 5)).code)
    assert.equal("UNREPRESENTABLE", select(2, raw:set("r", { "a" })).code)
  end)
end)
