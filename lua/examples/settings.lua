-- Settings that several programs change: nobody's change is lost, and all of one change holds or none: lua settings.lua [URL]
local kivi = require "kivi"

local store = assert(kivi.open(arg and arg[1] or "memory:"))

-- Of settings that were read a while ago: only if nobody has changed them since.
local function save(name, settings, version)
  local results, err = store:apply { { op = "set", key = "settings:" .. name, value = settings, if_version = version } }
  assert(results, err)
  return results[1].status == "OK"
end

assert(store:set("settings:mail", { from = "shop@example.com", limit = 10 }))
local mine, version = store:get_versioned("settings:mail")
assert(store:update("settings:mail", function(now) -- somebody else, meanwhile
  now.limit = 20
  return now
end))
mine.from = "news@example.com"
print("saved", save("mail", mine, version))
mine, version = store:get_versioned("settings:mail")
mine.from = "news@example.com"
print("saved", save("mail", mine, version), mine.from, mine.limit)

-- A new name for it: both steps happen, or neither.
local moved = assert(store:apply({
  { op = "set", key = "settings:news", value = mine, ["if"] = "absent" },
  { op = "delete", key = "settings:mail", ["if"] = "present" },
}, { atomic = true }))
print("moved", moved.ok, store:exists("settings:mail"), store:get("settings:news").limit)
store:clear("settings:")
store:close()
