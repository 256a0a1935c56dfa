# frozen_string_literal: true

# The first steps: a Hash that stays. usage: ruby hello.rb [URL]
require "kivi"

Kivi.open(ARGV.fetch(0, "memory:")) do |store|
  store["greeting"] = { "text" => "hello", "at" => Time.now }
  puts store["greeting"]["text"]
end
