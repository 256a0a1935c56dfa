-- What the module has is what its annotations and its README name, and the other way round.
local kivi = require "kivi"
local support = require "support"

local function read(name)
  local file = assert(io.open(os.getenv("KIVI_SOURCE") .. "/lua/" .. name))
  local text = file:read("*a")
  file:close()
  return text
end

-- The fields of a class in the annotations, by name.
local function fields(class)
  local found = {}
  local body = read("kivi.lua"):match("%-%-%-@class " .. class .. "[^%w.].-\n\n")
  for name in body:gmatch("%-%-%-@field ([%w_]+)") do found[#found + 1] = name end
  assert(#found > 0)
  table.sort(found)
  return found
end

describe("annotations", function()
  local s = support.open("memory:")

  it("name every method of stores and queues", function()
    assert.same(fields("kivi.Store"), support.sorted(getmetatable(s).__index))
    assert.same(fields("kivi.Queue"), support.sorted(getmetatable(kivi.queue()).__index))
  end)

  it("name every function of the module", function()
    local names = support.sorted(kivi)
    for i, name in ipairs(names) do
      if name == "loop" then table.remove(names, i) end -- for event loops' own layers
    end
    assert.same(fields("kivi"), names)
  end)

  it("name every field of an error", function()
    local annotated = {}
    for _, name in ipairs(fields("kivi.Error")) do annotated[name] = true end
    for name in pairs((select(2, s:get("")))) do assert.is_true(annotated[name]) end
  end)
end)

describe("README.md", function()
  it("names every call", function()
    local text = read("README.md")
    for name in pairs(getmetatable(support.open("memory:")).__index) do
      assert.truthy(text:find("s:" .. name .. "(", 1, true), name)
    end
    for name in pairs(kivi) do
      if name ~= "loop" and name ~= "version" then assert.truthy(text:find("kivi." .. name, 1, true), name) end
    end
  end)
end)
