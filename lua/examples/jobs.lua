-- A work queue: each job is done by one worker, and by another one if that worker dies: lua jobs.lua [URL]
--
-- A job is a value under "job:", in the order in which they were put. Who works on it holds a claim beside it, which only
-- one can add, and which expires. What a worker finishes counts only while the claim is its own.
local kivi = require "kivi"

local store = assert(kivi.open(arg and arg[1] or "memory:"))
local LEASE = 30 -- seconds that a job may take

local function put(task)
  local name = ("%08d"):format(assert(store:increment("jobs")))
  assert(store:set("job:" .. name, task))
  return name
end

-- The oldest job that nobody works on: its name and task; nil: there is none.
local function claim(worker)
  local names = {}
  for key in store:keys("job:") do names[#names + 1] = key:sub(#"job:" + 1) end
  table.sort(names) -- not every store walks in the order of keys
  for _, name in ipairs(names) do
    if store:add("claim:" .. name, worker, { ttl = LEASE }) then
      local task = store:get("job:" .. name)
      if task ~= nil then return name, task end
      store:compare_and_delete("claim:" .. name, worker) -- finished since it was listed
    end
  end
end

-- False: the lease had ended, and the job is another worker's or done. The claim goes last: it guards the job till then.
local function finish(worker, name)
  local claimed, version = store:get_versioned("claim:" .. name)
  if claimed ~= worker then return false end
  assert(store:delete("job:" .. name))
  return assert(store:apply { { op = "delete", key = "claim:" .. name, if_version = version } })[1].status == "OK"
end

for _, text in ipairs { "first", "second", "third" } do put { text = text } end
local one, task = claim("ann")
print("ann has", task.text)
local two, other = claim("ben")
print("ben has", other.text)
print("ann done", finish("ann", one))
print("not ann's", finish("ann", two))
store:delete("claim:" .. two) -- as when the lease of a worker that died has run out
print("again", select(2, claim("cay")).text)
print("ben late", finish("ben", two))
print("left", store:count("job:"))
for _, prefix in ipairs { "job:", "claim:", "jobs" } do store:clear(prefix) end
store:close()
