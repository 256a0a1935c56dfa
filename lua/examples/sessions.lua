-- Sessions that expire, a rate limiter, and a counter: lua sessions.lua [URL]
local kivi = require "kivi"

local store = assert(kivi.open(arg and arg[1] or "memory:sessions"))

-- A session lives for half an hour after its last use.
local function login(user)
  local id = ("%s-%d"):format(user, os.time())
  assert(store:set("session:" .. id, { user = user, roles = { "reader" } }, { ttl = 1800 }))
  return id
end

local function session(id)
  return store:get_and_expire("session:" .. id, 1800)
end

-- At most `limit` calls a minute: the window begins with the first, and ends with its key.
local function allowed(user, limit)
  local count = assert(store:increment("rate:" .. user, 1, { ttl = 60 }))
  return count <= limit
end

local id = login("ada")
print("session of", session(id).user)
print("unknown session", session("nobody"))
for call = 1, 4 do print("call", call, allowed("ada", 3) and "allowed" or "refused") end

assert(store:update("profile:ada", function(profile)
  profile = profile or { visits = 0 }
  profile.visits = profile.visits + 1
  return profile
end))
print("visits", store:get("profile:ada").visits)

for key in store:keys("session:") do print("key", (key:gsub("%d+$", "..."))) end
store:clear("session:ada")
store:delete_many { "rate:ada", "profile:ada" }
store:close()
