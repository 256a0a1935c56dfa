-- get.lua URL CALLS fill|text|map: prints the ns that one get takes. The keys are made first: get.lua URL 0 fill text|map
local kivi = require "kivi"

local url, calls, what, value = arg[1], tonumber(arg[2]), arg[3], arg[4]
local s = assert(kivi.open(url))
local keys = {}
for i = 1, 1000 do keys[i] = "key:" .. i end

if what == "fill" then
  local values = {
    text = ("x"):rep(100),
    map = { name = "Ada Lovelace", roles = { "admin", "reader" }, visits = 5, score = 1.5, active = true },
  }
  for _, key in ipairs(keys) do assert(s:set(key, values[value])) end
  os.exit(0)
end

local function run(count)
  for i = 1, count do
    if s:get(keys[i % 1000 + 1]) == nil then error("a key is missing") end
  end
end

run(calls / 10)
local began = os.clock()
run(calls)
print(("%.1f"):format((os.clock() - began) / calls * 1e9))
