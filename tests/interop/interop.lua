-- Lua's part of the interop suite: writes the rows of table.txt, prints what a store holds, packs by `MessagePack`.
-- usage: interop.lua write URL TABLE | read URL | pack TABLE
local kivi = arg[1] ~= "pack" and require "kivi" or nil

local function unhex(text)
  local hex, times = (text or ""):match("^(%x*)%*?(%d*)$")
  local bytes = hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)
  return times ~= "" and bytes:rep(tonumber(times)) or bytes
end

local function tohex(bytes)
  local first = bytes:sub(1, 1)
  if #bytes > 16 and bytes == first:rep(#bytes) then
    return ("%02x*%d"):format(first:byte(), #bytes)
  end
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

-- The values that `make` has no say in are the same for every library.
local nan = 0 / 0
if ("%.17g"):format(nan):sub(1, 1) == "-" then nan = -nan end
local floats = { nan = nan, inf = 1 / 0, ["-inf"] = -1 / 0, ["-0"] = -1 / (1 / 0) }

-- The next value of a list of token lines.
local function build(tokens, make)
  local kind, given = tokens.next():match("^(%a+) ?(.*)$")
  if kind == "nil" then return make.null end
  if kind == "true" then return true end
  if kind == "false" then return false end
  if kind == "int" then return make.int(given) end
  if kind == "float" then return make.float(floats[given] or tonumber(given) + 0.0) end
  if kind == "str" then return make.str(unhex(given)) end
  if kind == "bin" then return make.bin(unhex(given)) end
  if kind == "time" then
    local seconds, nanoseconds = given:match("^(%S+) (%S+)$")
    return make.time(seconds, nanoseconds)
  end
  if kind == "ext" then
    local type, data = given:match("^(%S+) ?(.*)$")
    return make.ext(tonumber(type), unhex(data))
  end
  local pairs_or_elements = {}
  for i = 1, tonumber(given) do
    local first = build(tokens, make)
    pairs_or_elements[i] = kind == "map" and { first, build(tokens, make) } or first
  end
  return kind == "map" and make.map(pairs_or_elements) or make.array(pairs_or_elements)
end

local function tokens_of(lines)
  local i = 0
  return { next = function() i = i + 1; return lines[i] end }
end

-- Calls f(name, raw, lines) for each row.
local function each_row(path, f)
  local name, raw, lines
  for line in io.lines(path) do
    local row = line:match("^row (.*)$")
    if row then
      if name then f(name, raw, lines) end
      name, raw, lines = row, false, {}
    elseif line:match("^raw ") then
      raw = true
    elseif name and not line:match("^#") and not line:match("^except ")
      and not line:match("^refuses ") then
      lines[#lines + 1] = line
    end
  end
  f(name, raw, lines)
end

-- Whether a string is UTF-8, as far as the bytes of the table go.
local function is_text(bytes)
  return not bytes:gsub("[\194-\223][\128-\191]", ""):gsub("[\224-\239][\128-\191][\128-\191]", "")
    :gsub("[\240-\244][\128-\191][\128-\191][\128-\191]", ""):find("[\128-\255]")
end

-- ---- kivi ----

local native = {}

-- As a user would write it: a table where it can be one, else kivi.map, else kivi.pairs.
function native.map(list)
  local table_, texts, numbers = {}, true, true
  for _, pair in ipairs(list) do
    texts = texts and type(pair[1]) == "string"
    numbers = numbers and type(pair[1]) == "number" and pair[1] == pair[1] and pair[1] % 1 == 0
      and (not math.type or math.type(pair[1]) == "integer")
    if texts or numbers then table_[pair[1]] = pair[2] end
  end
  if texts then return table_ end
  return numbers and kivi.map(table_) or kivi.pairs(list)
end

if kivi then
  native.null, native.int, native.float, native.bin = kivi.null, kivi.int, kivi.float, kivi.bin
  native.ext, native.array = kivi.Ext, kivi.array
  native.str = function(text) return text end
  native.time = function(seconds, nanoseconds) return kivi.timestamp(kivi.int(seconds), tonumber(nanoseconds)) end
end

local function dump_float(value, out)
  local text = ("%.17g"):format(value)
  out[#out + 1] = "float " .. (value ~= value and "nan" or text)
end

local function dump_bytes(kind, bytes, out)
  out[#out + 1] = (kind .. " " .. tohex(bytes)):gsub(" $", "")
end

local function dump_number(value, out)
  local is_int
  if math.type then
    is_int = math.type(value) == "integer"
  else
    is_int = value == value and math.abs(value) < 2 ^ 64 and value % 1 == 0 and not (value == 0 and 1 / value < 0)
  end
  if is_int then
    out[#out + 1] = "int " .. (math.type and tostring(value) or ("%.0f"):format(value))
  else
    dump_float(value, out)
  end
end

local dump

local function dump_table(value, marked, out)
  if marked ~= "map" and (marked == "array" or #value > 0) then
    out[#out + 1] = "array " .. #value
    for _, element in ipairs(value) do dump(element, out) end
    return
  end
  local count, inside = 0, {}
  for key, element in pairs(value) do
    count = count + 1
    dump(key, inside)
    dump(element, inside)
  end
  out[#out + 1] = "map " .. count
  for _, line in ipairs(inside) do out[#out + 1] = line end
end

function dump(value, out)
  local marked = kivi.type(value)
  if marked == "null" then
    out[#out + 1] = "nil"
  elseif marked == "int" then
    out[#out + 1] = "int " .. tostring(value)
  elseif marked == "float" then
    dump_float(value:tonumber(), out)
  elseif marked == "bin" then
    dump_bytes("bin", tostring(value), out)
  elseif marked == "ext" then
    dump_bytes("ext " .. value.type, value.data, out)
  elseif marked == "timestamp" then
    out[#out + 1] = ("time %s %s"):format(tostring(value.seconds), tostring(value.nanoseconds))
  elseif type(value) == "table" then
    dump_table(value, marked, out)
  elseif type(value) == "number" then
    dump_number(value, out)
  elseif type(value) == "string" then
    dump_bytes(is_text(value) and "str" or "bin", value, out)
  elseif type(value) == "boolean" then
    out[#out + 1] = tostring(value)
  else
    out[#out + 1] = "stranger " .. type(value)
  end
end

local modes = {}

function modes.write(url, path)
  local store = assert(kivi.open(url))
  each_row(path, function(name, raw, lines)
    if raw then return end
    local done, err = store:set(name, build(tokens_of(lines), native))
    if not done then print("row " .. name .. "\nerror " .. err.code) end
  end)
  store:close()
end

function modes.read(url)
  local store = assert(kivi.open(url))
  local names = {}
  for key in store:keys() do names[#names + 1] = key end
  for _, name in ipairs(names) do
    local lines = { "row " .. name }
    local value, err = store:get(name)
    if value == nil then
      lines[2] = "error " .. (err and err.code or "NOT_FOUND")
    else
      dump(value, lines)
    end
    print(table.concat(lines, "\n"))
  end
  store:close()
end

-- ---- the MessagePack library: what it can say, which is no times, no exts and no 64 bits on every Lua ----

local cannot = {}

local function fail() error(cannot) end

function modes.pack(path)
  local messagepack = require "MessagePack"
  messagepack.set_integer "unsigned"
  messagepack.set_string "string"
  messagepack.set_number "double"
  local independent = {
    null = nil,
    int = function(text)
      local number = tonumber(text)
      local exact = math.type and math.type(number) == "integer" or not math.type and math.abs(number) < 2 ^ 31
      return exact and number or fail()
    end,
    float = function(number) -- on Lua 5.1 it writes whole ones as integers and the smallest as 0
      local plain = number == number and (math.type or number % 1 ~= 0 and math.abs(number) > 1e-300)
      return plain and number or fail()
    end,
    str = function(text) return text end,
    bin = fail,
    time = fail,
    ext = fail,
    array = function(list) return #list > 0 and list or fail() end,
    map = function(list) -- an empty table is an array to it
      local table_ = #list > 0 and {} or fail()
      for _, pair in ipairs(list) do
        if type(pair[1]) ~= "string" then fail() end
        table_[pair[1]] = pair[2]
      end
      return table_
    end,
  }
  each_row(path, function(name, raw, lines)
    if raw then return end
    local ok, packed = pcall(function()
      for _, line in ipairs(lines) do
        if line == "nil" and #lines > 1 then fail() end
      end
      return messagepack.pack(build(tokens_of(lines), independent))
    end)
    if ok then
      print("row " .. name .. "\nraw " .. packed:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
    elseif packed ~= cannot then
      error(packed)
    end
  end)
end

modes[arg[1]](arg[2], arg[3])
