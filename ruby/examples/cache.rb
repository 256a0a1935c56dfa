# frozen_string_literal: true

# A cache of what is dear: computed once, however many threads ask at the same time. usage: ruby cache.rb [URL]
require "kivi"

Kivi.open(ARGV.fetch(0, "memory:")) do |store|
  computed = 0
  answers = Array.new(8) do
    Thread.new do
      store.fetch_or_set("report/2024", ttl: 60) do
        sleep 0.05
        { "number" => computed += 1 }
      end
    end
  end
  puts "#{answers.map(&:value).uniq.size} answer, computed #{computed} time"
  store.delete("report/2024")
end
