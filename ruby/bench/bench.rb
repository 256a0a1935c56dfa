# frozen_string_literal: true

# Ruby's rows of the bench, each beside its peers in one run, in turns: the best of the rounds counts for each.
# Prints "row, peer, ours, theirs, ratio, wanted". usage: ruby bench.rb [SECONDS]; KIVI_TEST_REDIS names the server.
require "kivi"
require "redis"
require "moneta"
require "msgpack"
require "pstore"
require "tmpdir"
require "uri"

SECONDS = Float(ARGV.fetch(0, "0.4"))
ROUNDS = 5
VALUE = { "id" => 12_345, "name" => "Anna", "tags" => %w[a b c], "score" => 1.5, "active" => true }.freeze
REDIS = ENV.fetch("KIVI_TEST_REDIS")

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

# Microseconds a call.
def time_of(call)
  calls = 0
  began = now
  until (spent = now - began) > SECONDS
    20.times(&call)
    calls += 20
  end
  spent / calls * 1e6
end

# Calls a second of threads that each have a call of their own.
def rate_of(calls)
  stop = false
  counts = calls.map do |call|
    Thread.new do
      count = 0
      (call.call(0) && count += 1) until stop
      count
    end
  end
  sleep(SECONDS * 2)
  stop = true
  counts.sum(&:value) / (SECONDS * 2)
end

# Measures in turns and prints a line for each peer. `better`: :time (less is) or :rate (more is).
def row(name, better, ours, peers)
  measure = better == :time ? method(:time_of) : method(:rate_of)
  pick = better == :time ? :min : :max
  all = { ours: ours }.merge(peers.transform_values(&:first))
  seen = all.transform_values { [] }
  ROUNDS.times { all.each { |who, what| seen[who] << measure.call(what) } }
  best = seen.transform_values(&pick)
  peers.each do |who, (_, limit)|
    ratio = best[:ours] / best[who]
    met = better == :time ? ratio <= limit : ratio >= limit
    puts format("%-34s %-28s %10.2f %10.2f  %.2fx  wanted %s %.2fx  %s", name, who, best[:ours], best[who], ratio,
                better == :time ? "<=" : ">=", limit, met ? "met" : "NOT MET")
  end
end

def redis_of(url) = Redis.new(host: URI(url).host, port: URI(url).port, db: URI(url).path.delete("/").to_i)

Dir.mktmpdir do |folder|
  server = Kivi.open(REDIS)
  server["kivi-bench"] = VALUE
  redis = redis_of(REDIS)
  raise "not the same bytes" unless MessagePack.unpack(redis.get("kivi-bench")) == VALUE

  moneta = Moneta.new(:Redis, backend: redis)
  moneta["kivi-bench-moneta"] = VALUE

  row("ruby get, Redis (us)", :time, ->(_) { server["kivi-bench"] },
      "redis-rb, no decoding" => [->(_) { redis.get("kivi-bench") }, 0.9],
      "Moneta over redis-rb" => [->(_) { moneta["kivi-bench-moneta"] }, 0.5])

  Kivi.open("lmdb:#{folder}/bench.mdb") do |lmdb|
    lmdb["key"] = VALUE
    memory = Moneta.build do
      use :Transformer, value: :msgpack
      adapter :Memory
    end
    memory["key"] = VALUE
    pstore = PStore.new("#{folder}/bench.pstore")
    pstore.transaction { pstore["key"] = VALUE }
    row("ruby typed get, LMDB (us)", :time, ->(_) { lmdb["key"] },
        "Moneta in memory, msgpack" => [->(_) { memory["key"] }, 1.0],
        "PStore" => [->(_) { pstore.transaction(true) { pstore["key"] } }, 1.0])
  end

  clients = Array.new(16) { redis_of(REDIS) }
  row("16 ruby threads, Redis, get (ops/s)", :rate, Array.new(16) { ->(_) { server["kivi-bench"] } },
      "redis-rb, a connection a thread" => [clients.map { |client| ->(_) { client.get("kivi-bench") } }, 2.0])
  server.delete("kivi-bench")
  moneta.delete("kivi-bench-moneta")
end
