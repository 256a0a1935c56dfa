# frozen_string_literal: true

require "spec_helper"

RSpec.describe "memory" do
  # What is done again and again; every way that a call can end.
  def round(store)
    store["k"] = { "a" => [1, 2.5, "text", :symbol, "\xff".b], "t" => Time.at(0) }
    store["k"]
    store.get_many("k", "none")
    store.page(limit: 2).to_a
    store.apply([{ op: :set, key: "b", value: [1], if: :absent }])
    begin
      store["k"] = ["x" * 100, Object.new]
    rescue Kivi::Unrepresentable
      nil
    end
    begin
      store.compare_and_set("k", [1], [Object.new])
    rescue Kivi::Unrepresentable
      nil
    end
    begin
      store.set_many("x" => 1, "y" => Object.new)
    rescue Kivi::Unrepresentable
      nil
    end
    begin
      store.increment("k")
    rescue Kivi::WrongType
      nil
    end
    begin
      store.set("k", [1], ttl: -1)
    rescue Kivi::Invalid
      nil
    end
    store.scan { break }
  end

  # Ruby's own heap settles in time; what leaks grows each time. Bytes of the best of some times.
  def least_growth
    before = settled
    Array.new(6) do
      yield
      (now = settled) - before
    ensure
      before = now
    end.min
  end

  def settled
    3.times { GC.start }
    resident
  end

  kept = ENV["KIVI_SANITIZED"] ? 4 << 20 : 0 # a sanitizer keeps some of what was freed

  %w[memory lmdb redis].each do |kind|
    it "does not grow with calls, on #{kind}" do
      rounds = kind == "redis" ? 200 : 1500
      in_store(kind) { |store| expect(least_growth { rounds.times { round(store) } }).to be < (100 << 10) + kept }
    end
  end

  it "does not grow with 100,000 calls" do
    in_store("lmdb") do |store|
      store["k"] = { "a" => "x" * 500, "b" => [1] * 20 }
      expect(least_growth { 100_000.times { store["k"] } }).to be < (500 << 10) + kept
    end
  end

  it "does not grow with blocks that end badly" do
    in_store do |store|
      bad = lambda do
        store.update("k") { break }
        store.fetch_or_set("none") { raise IOError }
      rescue IOError
        nil
      end
      expect(least_growth { 400.times { bad.call } }).to be < (100 << 10) + kept
    end
  end

  # Ten fibers call at the same time, and three of them are ended while they wait.
  def call_in_fibers(store)
    ended = 0
    fibers = Array.new(10) do
      Fiber.schedule do
        store["k"] = "x" * 1000
        store["k"]
      rescue IOError
        nil
      ensure
        ended += 1
      end
    end
    fibers.first(3).each { |fiber| fiber.raise(IOError) }
    sleep 0.001 until ended == 10
  end

  it "does not grow with fibers, even those that are given up" do
    place = Places::KINDS["redis"].call
    grown = nil
    SmallScheduler.run do
      Fiber.schedule do
        Kivi.open(place) do |store|
          100.times { call_in_fibers(store) }
          grown = least_growth { 100.times { call_in_fibers(store) } }
          store.clear
        end
      end
    end
    expect(grown).to be < (100 << 10) + kept
  end

  it "is given back with the stores" do
    open = -> { Kivi.open("memory:").tap { |store| store["k"] = "x" * 1_000_000 } }
    expect(least_growth { 60.times { open.call } }).to be < (10 << 20) + kept
  end

  it "holds under GC.stress" do
    output = ruby(<<~'PROGRAM', REDIS)
      hook = ->(object) { object.to_s * 2 }
      exts = ->(type, data) { [type, data] }
      ["memory:", "redis"].each do |place|
        url = place == "redis" ? ARGV[0] : place
        Kivi.open(url, namespace: "ruby-stress", default: hook, ext: exts) do |store|
          GC.stress = true
          store["k"] = { "a" => [1, 2**64 - 1, 2.5e300, "text" * 10, "\xff".b, 3r], 7 => Kivi::Ext.new(5, "x"), [:b, 1r] => Time.at(1) }
          raise "get" unless store["k"].size == 3
          raise "many" unless store.get_many("k", "n").size == 1
          store.update("n") { |value| [value, "x" * 100] }
          store.fetch_or_set("m") { { "computed" => ["x"] * 3 } }
          raise "scan" unless store.scan.to_h { |key, value| [key, value] }.size == 3
          store.apply([{ op: :set, key: "z", value: ["y"] }, { "op" => "delete", "key" => "z", "if_equal" => ["y"] }])
          begin; store["k"] = [Object.new, { a: 1, "a" => 2 }]; raise "twice"; rescue Kivi::Unrepresentable; end
          begin; store.fetch("none"); raise "none"; rescue KeyError; end
          store.health
          store.clear
          GC.stress = false
        end
      end
      puts "whole"
    PROGRAM
    expect(output).to eq("whole\n")
  end

  it "holds when objects move" do
    output = ruby(<<~'PROGRAM')
      store = Kivi.open("memory:", default: ->(object) { object.to_s }, ext: ->(type, data) { [type, data] })
      GC.auto_compact = true
      200.times do |i|
        store["k"] = { "a" => [i, 3r, Kivi::Ext.new(1, "x")], 5 => "y" }
        GC.compact if (i % 20).zero?
        raise store["k"].inspect unless store["k"] == { "a" => [i, "3/1", [1, "x"]], 5 => "y" }
        store.update("n") { |value| GC.compact if (i % 50).zero?; (value || 0) + 1 }
        store.scan { |key, value| GC.compact if (i % 50).zero? }
      end
      GC.verify_compaction_references(toward: :empty, double_heap: true)
      p store["n"]
    PROGRAM
    expect(output).to eq("200\n")
  end
end
