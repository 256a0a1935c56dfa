# frozen_string_literal: true

# A rate limiter: so many calls in a window, for each caller, from any number of processes. usage: ruby limiter.rb [URL]
require "kivi"

class Limiter
  def initialize(store, limit:, window:)
    @store = store
    @limit = limit
    @window = window
  end

  # The window begins with a caller's first call and ends by itself: the ttl counts only when the key is made.
  def allow?(caller_name) = @store.increment("limit/#{caller_name}", ttl: @window) <= @limit
end

Kivi.open(ARGV.fetch(0, "memory:")) do |store|
  limiter = Limiter.new(store, limit: 3, window: 1)
  puts Array.new(5) { limiter.allow?("anna") ? "yes" : "no" }.join(" ")
  store.clear("limit/")
end
