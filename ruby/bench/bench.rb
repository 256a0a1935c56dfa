# frozen_string_literal: true

# Ruby's rows of the bench, each beside its peers in one run, in turns: the best of the rounds counts for each.
# usage: bench.rb [--results FILE] [SECONDS]; KIVI_TEST_REDIS names the server, FILE gets a line of JSON for each row.
require "json"
require "kivi"
require "redis"
require "moneta"
require "msgpack"
require "pstore"
require "tmpdir"
require "uri"

RESULTS = ARGV.delete("--results") && ARGV.shift
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

# Tells what was measured: `best` is microseconds a call, or calls a second.
def tell(title, peer, better, best, limit)
  ours, theirs = [best[:ours], best[peer]].map { |value| better == :time ? value * 1000 : 1e9 / value }
  ratio = better == :time ? ours / theirs : theirs / ours
  reached = better == :time ? ratio <= limit : ratio >= limit
  kind = better == :time ? "time" : "ops"
  puts format("%-36s %-34s %9.0f ns %9.0f ns  %.2fx %s  %s", title, peer, theirs, ours, ratio, kind,
              reached ? "reached" : "short of #{limit}")
  return unless RESULTS

  line = { kind: "row", row: "#{title}, #{peer}".downcase.gsub(/\W+/, "_"), title: title, peer: peer, peer_ns: theirs,
           ours_ns: ours, ratio: ratio, ratio_of: kind, target: limit, reached: reached }
  File.write(RESULTS, "#{JSON.generate(line)}\n", mode: "a")
end

# Measures in turns and tells of each peer. `better`: :time (less is) or :rate (more is).
def row(title, better, ours, peers)
  measure = better == :time ? method(:time_of) : method(:rate_of)
  pick = better == :time ? :min : :max
  all = { ours: ours }.merge(peers.transform_values(&:first))
  seen = all.transform_values { [] }
  ROUNDS.times { all.each { |who, what| seen[who] << measure.call(what) } }
  best = seen.transform_values(&pick)
  peers.each { |peer, (_, limit)| tell(title, peer, better, best, limit) }
end

def redis_of(url) = Redis.new(host: URI(url).host, port: URI(url).port, db: URI(url).path.delete("/").to_i)

Dir.mktmpdir do |folder|
  server = Kivi.open(REDIS)
  server["kivi-bench"] = VALUE
  redis = redis_of(REDIS)
  raise "not the same bytes" unless MessagePack.unpack(redis.get("kivi-bench")) == VALUE

  moneta = Moneta.new(:Redis, backend: redis)
  moneta["kivi-bench-moneta"] = VALUE

  row("Ruby get, Redis", :time, ->(_) { server["kivi-bench"] },
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
    row("Ruby typed get, LMDB", :time, ->(_) { lmdb["key"] },
        "Moneta in memory, msgpack" => [->(_) { memory["key"] }, 1.0],
        "PStore" => [->(_) { pstore.transaction(true) { pstore["key"] } }, 1.0])
  end

  clients = Array.new(16) { redis_of(REDIS) }
  row("Ruby get, Redis, 16 threads", :rate, Array.new(16) { ->(_) { server["kivi-bench"] } },
      "redis-rb, a connection a thread" => [clients.map { |client| ->(_) { client.get("kivi-bench") } }, 2.0])
  server.delete("kivi-bench")
  moneta.delete("kivi-bench-moneta")
end
