# languages.c again, in Ruby: prints what was imported. usage: languages.rb URL LANGUAGE COUNTRY
# frozen_string_literal: true

require "kivi"

url, language, country = ARGV
Kivi.open(url) do |store|
  key = "lang:#{language}"
  puts [key, *store[key].values_at("name", "type")].join("\t")
  store.scan("place:#{country}-").each { |name, place| puts [name, *place.values_at("name", "type")].join("\t") }
end
