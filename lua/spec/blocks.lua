-- Runs the Lua blocks of a document, each with a store of its own: lua blocks.lua FILE
local kivi = require "kivi"

local file = assert(io.open(arg[1]))
local text = file:read("*a")
file:close()

local compile = loadstring or load
local count, failed = 0, 0
for block in text:gmatch("\n```lua\n(.-)\n```\n") do
  count = count + 1
  local store = assert(kivi.open("memory:"))
  local code, wrong = compile("local kivi, s, print = ...\n" .. block, "=block " .. count)
  local ok = code ~= nil
  if ok then ok, wrong = pcall(code, kivi, store, function() end) end
  if not ok then
    failed = failed + 1
    print("block " .. count .. ": " .. tostring(wrong))
  end
end
assert(count >= 5, "the blocks were not found")
os.exit(failed == 0 and 0 or 1)
