-- What the host runs with memory that ends: every kind of call, on stores that were opened before.
local kivi = require "kivi"

local told
local function tell(event) told = { event.verb .. os.clock() } end
local s = assert(kivi.open("memory:", { on_event = tell, event_keys = true }))
local queue = kivi.queue()
local queued = assert(kivi.open("memory:", { on_event = tell }, queue))
local value = { name = "Ada", list = { 1, 2.5, kivi.null, kivi.bin("b"), kivi.int("18446744073709551615") },
  at = kivi.timestamp(1, 2), ext = kivi.Ext(1, "x"), pairs = kivi.pairs { { 1, "a" }, { { 1 }, "b" } } }
assert(s:set("kept", value))

return function()
  s:set("k" .. os.clock(), value)
  s:set("k", value)
  s:get("k", { pairs = true })
  s:get_versioned("k", { pairs = true })
  s:get_many({ "k", "kept", "x" }, { pairs = true })
  s:set_many { a = value, b = { { {} } }, c = "text " .. os.clock() }
  s:set("k", { { print } })
  s:get("")
  s:apply { { op = "set", key = "k", value = value }, { op = "check", key = "k", if_equal = { 1 } },
    { op = "increment", key = "a" } }
  s:page("", { pairs = true, ttl = true })
  for _ in s:scan("", { pairs = true }) do end
  s:update("u", function(old) return { old and 1 or 2, tostring(os.clock()) } end)
  s:get_or_set("o" .. os.clock(), function() return { tostring(os.clock()) } end)
  s:capabilities()
  s:stats()
  kivi.copy(s, s, { prefix = "nothing", progress = function(p) return p end })
  kivi.open("memory:", { codec = "json" }):set("k", { a = 1 })
  kivi.open("memory:", { on_event = tell }):set("k", told)
  kivi.open("nothing:")
  queued:set("k", value)
  queued:get_many { "k", "x" }
  queued:get("k", { pairs = true })
  while queue:count() > 0 do queue:take(function(_, v) return { v } end) end
  s:clear("k")
  s:clear("o")
end
