# frozen_string_literal: true

# What the tests of the adapters share: stores of each kind, on data of their own.
require "kivi"
require "securerandom"

module Adapters
  FOLDER = ENV.fetch("KIVI_ADAPTERS_FOLDER")
  REDIS = ENV.fetch("KIVI_TEST_REDIS") { abort "KIVI_TEST_REDIS names no Redis: run tests/servers/start" }

  KINDS = {
    "memory" => -> { "memory:#{SecureRandom.hex(8)}" },
    "lmdb" => -> { "lmdb:#{FOLDER}/#{SecureRandom.hex(8)}.mdb?sync=false" },
    "redis" => -> { "#{REDIS}#{REDIS.include?('?') ? '&' : '?'}namespace=adapters-#{SecureRandom.hex(8)}" }
  }.freeze

  # Seconds left, in tens: a busy machine takes some of them.
  def self.left(store, key) = store.ttl(key)&.then { |seconds| (seconds / 10).ceil * 10 }

  # One that nobody answers.
  NOBODY = "redis://127.0.0.1:1/0?timeout=1&namespace=nobody"
end
