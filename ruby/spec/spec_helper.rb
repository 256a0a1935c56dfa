# frozen_string_literal: true

require "kivi"
require "tmpdir"
require "socket"
require "timeout"
require_relative "support/small_scheduler"
require_relative "support/proxy"

REDIS = ENV.fetch("KIVI_TEST_REDIS") { abort "KIVI_TEST_REDIS names no Redis: run tests/servers/start" }

# Stores of a kind, on data of their own.
module Places
  def self.folder = @folder ||= Dir.mktmpdir("kivi-ruby")
  def self.number = @number = (@number || 0) + 1
  at_exit { FileUtils.rm_rf(@folder) if @folder }

  KINDS = {
    "memory" => -> { "memory:ruby-#{number}" },
    "lmdb" => -> { "lmdb:#{folder}/#{number}.mdb?sync=false" },
    "redis" => -> { with(REDIS, "namespace=ruby-#{Process.pid}-#{number}") }
  }.freeze

  def self.with(url, option) = "#{url}#{url.include?('?') ? '&' : '?'}#{option}"

  def in_store(kind = "memory", **options)
    Kivi.open(KINDS.fetch(kind).call, **options) do |store|
      yield store
    ensure
      store.clear unless store.closed?
    end
  end

  # A program of its own, with the library; its output.
  def ruby(program, *arguments)
    IO.popen([RbConfig.ruby, "-W1", "-rkivi", "-e", program, *arguments], err: %i[child out], &:read)
  end

  # As many bytes as this process has in memory.
  def resident = File.read("/proc/self/statm").split[1].to_i * 4096
end

RSpec.configure do |config|
  config.include Places
  config.disable_monkey_patching!
  config.warnings = true
  config.around { |example| Timeout.timeout(60) { example.run } }
end
