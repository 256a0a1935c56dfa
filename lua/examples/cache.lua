-- A cache of what takes long: computed once by all processes, and not again while it is found missing: lua cache.lua [URL]
local kivi = require "kivi"

local store = assert(kivi.open(arg and arg[1] or "memory:"))
local queries = 0

-- Stands for a slow look-up elsewhere, which knows two users.
local function query(id)
  queries = queries + 1
  return ({ ada = { name = "Ada" }, bob = { name = "Bob" } })[id]
end

-- A user that is not there is cached as well, for a shorter time: `false` is a value as any other.
local function user(id)
  local key = "user:" .. id
  local found, err = store:get_or_set(key, function() return query(id) or false end, { ttl = 300, lease = 5 })
  if err then return query(id) end -- a cache that is away slows down, and stops nothing
  if found == false then store:expire(key, 10) end
  return found or nil
end

for _, id in ipairs { "ada", "ada", "eve", "eve", "bob" } do
  local found = user(id)
  print(id, found and found.name, queries)
end
print("kept", store:ttl("user:ada") > 10, store:ttl("user:eve") <= 10)
store:clear("user:")
store:close()
