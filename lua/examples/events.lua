-- What a store does, counted: lua events.lua [URL]
local kivi = require "kivi"

local SLOW = 0.1 -- seconds

local calls, failures, repeats = {}, {}, 0

-- Told at the end of each call. It must be quick, and what it raises ends no call.
local function tell(event)
  if event.kind == "retry" or event.kind == "reconnect" then
    repeats = repeats + 1
  elseif event.kind == "call" then
    calls[event.verb] = (calls[event.verb] or 0) + 1
    if event.error then failures[event.error] = (failures[event.error] or 0) + 1 end
    if event.duration > SLOW then io.stderr:write(("slow: %s took %.3f s\n"):format(event.verb, event.duration)) end
  end
end

-- A store that fails in every tenth request, unless another is named: the library tries again by itself.
local store = assert(kivi.open(arg and arg[1] or "memory:?fail_rate=0.1&seed=7", { on_event = tell }))

for n = 1, 100 do
  assert(store:set("key:" .. n, n))
  store:get("key:" .. n)
end
store:set("text", "no number")
store:increment("text")
store:close()

for _, verb in ipairs { "set", "get", "increment" } do print("calls", verb, calls[verb]) end
for name, count in pairs(failures) do print("failures", name, count) end
print("tried again", repeats > 0)
