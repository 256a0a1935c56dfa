-- languages.c again, in Lua: prints what was imported. usage: languages.lua URL LANGUAGE COUNTRY
local kivi = require "kivi"

local store = assert(kivi.open(arg[1]))
local key = "lang:" .. arg[2]
local language = assert(store:get(key))
print(key, language.name, language.type)
for place_key, place in store:scan("place:" .. arg[3] .. "-") do
  print(place_key, place.name, place.type)
end
store:close()
