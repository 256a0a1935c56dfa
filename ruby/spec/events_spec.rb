# frozen_string_literal: true

require "spec_helper"

RSpec.describe "on_event" do
  kept = 4096

  def calls(events) = events.select { |event| event.kind == :call }

  # Opens a store that tells; what it told so far.
  def told(kind = "memory", **options)
    seen = []
    in_store(kind, on_event: ->(event) { seen << event }, **options) { |store| yield store, seen }
    seen
  end

  %w[memory lmdb redis].each do |kind|
    it "is told of calls and vectors on #{kind}" do
      told(kind, event_keys: true) do |store, seen|
        store["key"] = "secret-value"
        store["key"]
        store["none"]
        store.get_many("key", "none")
        expect { store.increment("key") }.to raise_error(Kivi::WrongType)
        expect(calls(seen).map { |event| [event.verb, event.status, event.error, event.items, event.key] }).to eq(
          [["set", "OK", nil, 1, "key"], ["get", "OK", nil, 1, "key"], ["get", "NOT_FOUND", nil, 1, "none"],
           ["get_many", "OK", nil, 2, nil], ["increment", "WRONG_TYPE", Kivi::WrongType, 1, "key"]]
        )
        expect(calls(seen)).to all(have_attributes(scheme: store.scheme, duration: be > 0, attempt: 0).and(be_frozen))
        expect(seen.map(&:kind)).to include(:vector)
        expect(seen.inspect).not_to include("secret-value")
      end
    end

    it "runs on threads that called, on #{kind}" do
      seen = Queue.new
      in_store(kind, on_event: ->(event) { seen << [Thread.current, event] }) do |store|
        threads = Array.new(16) do |n|
          Thread.new { 20.times { |i| store["k#{n}"] = i } && store.update("n#{n}") { 1 } }
        end
        threads.each(&:join)
        all = Array.new(seen.size) { seen.pop }
        expect(all.map(&:first) - threads).to be_empty
        expect(calls(all.map(&:last)).map(&:verb).tally).to eq("set" => 320, "update" => 16)
      end
    end

    it "is not told of its own calls on #{kind}" do
      seen = []
      store = Kivi.open(Places::KINDS[kind].call, on_event: lambda { |event|
        seen << event
        store["k"]
        store.update("n") { |n| (n || 0) + 1 }
        store.to_a
      })
      store["k"] = 1
      store["k"]
      told = seen.size
      expect(calls(seen).map(&:verb)).to eq(%w[set get])
      expect(store["n"]).to eq(told)
      store.clear
      store.close
    end
  end

  it "has keys only where they are asked for" do
    expect(told { |store, _| store["k"] = 1 }.map(&:key).uniq).to eq([nil])
  end

  it "is told of retries and reconnects" do
    seen = []
    Kivi.open("memory:?fail_rate=0.3&seed=7", on_event: seen.method(:<<)) { |store| 50.times { |n| store["k#{n}"] = n } }
    expect(seen.map(&:kind).uniq).to match_array(%i[call vector retry reconnect])
    expect(seen.select { |event| event.kind == :retry }).to all(have_attributes(attempt: be >= 1, verb: "set"))
    expect(calls(seen).map(&:error).uniq).to eq([nil])
  end

  it "is told of sweeps" do
    seen = []
    Kivi.open("memory:", on_event: seen.method(:<<)) do |store|
      100.times { |n| store.set("k#{n}", n, ttl: 0.001) }
      store["other"] = 1 until seen.select { |event| event.kind == :sweep }.sum(&:items) >= 100
    end
  end

  it "is told that a server went away and came back" do
    seen = []
    proxy = Proxy.new(REDIS)
    Kivi.open(proxy.url("namespace=ruby-events-#{Process.pid}"), timeout: 50, on_event: seen.method(:<<)) do |store|
      store["k"] = 1
      proxy.cut
      expect(store["k"]).to eq(1)
      expect(seen.map(&:kind)).to include(:reconnect)
      store.clear
    end
  ensure
    proxy.close
  end

  it "ends no call by what it raises" do
    in_store("memory", on_event: ->(_event) { raise "a fault of its own" }) do |store|
      expect { store["k"] = 1 }.to output(/on_event: a fault of its own \(RuntimeError\)/).to_stderr
      expect { expect(store["k"]).to eq(1) }.to output(/on_event/).to_stderr
      expect { expect { store.increment("text") if store["text"] = "x" }.to raise_error(Kivi::WrongType) }
        .to output(/on_event/).to_stderr
    end
  end

  it "lets pass what leaves a block, and loses no event" do
    seen = []
    Kivi.open("memory:", on_event: ->(event) { seen << event && event.kind == :call && throw(:left, event.verb) }) do |store|
      expect(catch(:left) { store["k"] = 1 }).to eq("set")
      expect(catch(:left) { store["k"] }).to eq("get")
      expect(catch(:left) { store.key?("k") }).to eq("exists")
    end
    expect(calls(seen).map(&:verb)).to eq(%w[set get exists])
  end

  it "counts what it had no room for" do
    told do |store, seen|
      store.set_many((1..(kept + 100)).to_h { |n| ["k#{n}", n] })
      seen.clear
      Kivi.open("memory:") { |target| Kivi.copy(store, target, batch: 1) }
      expect(seen.first).to have_attributes(kind: :dropped, items: be >= 100)
      expect(seen.size).to eq(kept + 1)
      seen.clear
      store["k1"]
      expect(seen.map(&:kind)).to eq([:call])
    end
  end

  it "is told on fibers of a scheduler" do
    seen = []
    place = Places::KINDS["redis"].call
    SmallScheduler.run do
      Fiber.schedule do
        Kivi.open(place, on_event: ->(event) { seen << [Thread.current, event] }) do |store|
          done = 0
          20.times { |n| Fiber.schedule { (store["k#{n}"] = n) && done += 1 } }
          sleep 0.01 until done == 20
          store.clear
        end
      end
    end
    expect(calls(seen.map(&:last)).map(&:verb).tally).to eq("set" => 20, "clear" => 1)
    expect(seen.map(&:first).uniq.size).to eq(1)
  end

  it "tells a child of a fork of its own calls alone" do
    said = ruby(<<~PROGRAM)
      seen = []
      child = nil
      store = Kivi.open("memory:", on_event: ->(event) { seen << event.kind; child ||= fork || 0 })
      store["k"] = 1
      if child == 0
        store["child"] = 2
        print "child \#{seen.join(',')} "
        exit!(0) if $stdout.flush
      end
      Process.wait(child)
      print "parent \#{seen.join(',')}"
    PROGRAM
    expect(said).to eq("child vector,vector,call parent vector,call")
  end

  it "must have a method call" do
    expect { Kivi.open("memory:", on_event: 3) }.to raise_error(TypeError, /on_event/)
  end

  it "leaves no memory behind" do
    work = lambda do |_|
      in_store("memory", on_event: ->(event) { event }, event_keys: true) do |store|
        50.times { |n| (store["k"] = n) && store["k"] }
      end
    end
    200.times(&work)
    least = Array.new(5) do
      GC.start
      before = resident
      300.times(&work)
      GC.start
      resident - before
    end.min
    expect(least).to be < 512 * 1024
  end
end
