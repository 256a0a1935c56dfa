-- cjson's marks and ours say the same: run by lua/check under each Lua, in a process of its own, with a stand-in for
-- OpenResty's cjson (Debian's has no marks). `lua cjson.lua real` takes the cjson that is installed.
local kivi = require "kivi"

-- What OpenResty's does with tables; it has no other types here.
local function stand_in()
  local cjson = { array_mt = {}, empty_array_mt = {}, empty_array = debug.upvalueid and debug.upvalueid(stand_in, 1) or kivi.delete }
  function cjson.encode(value)
    local mark = type(value) == "table" and getmetatable(value)
    if value == cjson.empty_array then return "[]" end
    if type(value) ~= "table" then return tostring(value) end
    local parts = {}
    if mark == cjson.array_mt or mark == cjson.empty_array_mt and next(value) == nil or #value > 0 then
      for i = 1, #value do parts[i] = cjson.encode(value[i]) end
      return "[" .. table.concat(parts, ",") .. "]"
    end
    for key, item in pairs(value) do parts[#parts + 1] = ('"%s":%s'):format(key, cjson.encode(item)) end
    return "{" .. table.concat(parts, ",") .. "}"
  end
  return cjson
end

local function equal(wanted, got, what)
  if wanted ~= got then error(("%s: %s instead of %s"):format(what, tostring(got), tostring(wanted)), 2) end
end

local s = assert(kivi.open("memory:"))
local early = kivi.array {}
equal("array", kivi.type(early), "an array marked before cjson was there")

local cjson = arg[1] == "real" and require "cjson" or stand_in()
package.loaded.cjson = cjson
local function stored(value)
  assert(s:set("k", value))
  return (s:get("k"))
end
local function type_of(value) return kivi.type(stored(value)) end

equal("array", type_of(setmetatable({}, cjson.empty_array_mt)), "empty_array_mt")
equal("array", type_of(setmetatable({}, cjson.array_mt)), "array_mt")
equal("array", type_of(cjson.empty_array), "empty_array")
equal("array", kivi.type(stored({ a = { cjson.empty_array } }).a[1]), "empty_array in a table")
equal("array", type_of(early), "the one marked before")
equal(nil, type_of {}, "an empty table")
equal(nil, type_of(setmetatable({ a = 1 }, cjson.empty_array_mt)), "a map that could have been an empty array")
equal(2, #stored(setmetatable({ 1, 2 }, cjson.array_mt)), "array_mt with elements")
equal("array", kivi.type(setmetatable({}, cjson.array_mt)), "kivi.type of a table of cjson's")
equal("map", kivi.type(kivi.map(setmetatable({}, cjson.array_mt))), "kivi.map of a table of cjson's")

local ok, err = s:set("k", setmetatable({ a = 1 }, cjson.array_mt))
equal("nil UNREPRESENTABLE", tostring(ok) .. " " .. err.code, "a map that says it is an array")
ok, err = s:set("k", kivi.delete == cjson.empty_array and print or kivi.delete)
equal("nil UNREPRESENTABLE", tostring(ok) .. " " .. err.code, "another light userdata")

equal(cjson.array_mt, getmetatable(kivi.array {}), "the metatable of kivi.array")
equal("[]", cjson.encode(kivi.array {}), "kivi.array {} as JSON")
equal('{"items":[]}', cjson.encode(stored { items = kivi.array {} }), "what is read as an empty array, as JSON")
equal("[]", cjson.encode(stored(cjson.empty_array)), "empty_array read again, as JSON")
equal("{}", cjson.encode(stored {}), "an empty map, as JSON")
if cjson.decode_array_with_array_mt then
  cjson.decode_array_with_array_mt(true)
  equal('{"items":[]}', cjson.encode(stored(cjson.decode '{"items":[]}')), "JSON through a store")
end
s:close()
