-- What the specs share: which stores they run on, and places for files.
local kivi = require "kivi"

local support = {}
local folder = assert(os.getenv("KIVI_LUA_FOLDER"), "KIVI_LUA_FOLDER must name an empty folder")
local made = 0

-- The integer and float types of this Lua.
support.has_integers = math.type ~= nil

--- A URL for a file of its own.
function support.lmdb(options)
  made = made + 1
  return ("lmdb:%s/%d-%s.mdb?sync=false%s"):format(folder, os.time(), made .. tostring({}):match("0x%x+"),
    options or "")
end

--- A URL for a Redis keyspace of its own; nil where no server is set.
function support.redis(options)
  local url = os.getenv("KIVI_TEST_REDIS")
  if not url or url == "" then return nil end
  made = made + 1
  local name = ("lua%s%d"):format(tostring({}):match("0x(%x+)"), made)
  return url .. (url:find("?", 1, true) and "&" or "?") .. "namespace=" .. name .. (options or "")
end

--- Rows of the conformance suite, read from its own table: {name, url}. The trait `queue` is the C suite's.
function support.rows()
  local rows = {}
  for line in io.lines(os.getenv("KIVI_SOURCE") .. "/tests/conformance/rows.txt") do
    local name, url, traits = line:match("^([%w-]+)%s+(%S+)%s*(.*)$")
    if name and not traits:find("queue") then
      made = made + 1
      local place = folder .. "/row" .. made .. tostring({}):match("0x%x+")
      if url:find("{dir}", 1, true) then assert(os.execute("mkdir -p " .. place)) end
      rows[#rows + 1] = { name, (url:gsub("{dir}", place):gsub("{name}", "row" .. made)) }
    end
  end
  assert(#rows > 20, "the rows of the conformance suite were not found")
  local redis = support.redis()
  if redis then rows[#rows + 1] = { "redis", redis } end
  return rows
end

--- Opens a store, or fails the test.
function support.open(url, options)
  return assert(kivi.open(url, options))
end

function support.sleep(seconds)
  os.execute("sleep " .. seconds)
end

--- The keys of a table, sorted.
function support.sorted(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

return support
