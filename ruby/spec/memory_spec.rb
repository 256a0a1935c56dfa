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

  def settled
    3.times { GC.start }
    resident
  end

  %w[memory lmdb redis].each do |kind|
    it "does not grow with calls, on #{kind}" do
      rounds = kind == "redis" ? 1000 : 8000
      in_store(kind) do |store|
        (rounds / 2).times { round(store) }
        before = settled
        rounds.times { round(store) }
        expect(settled - before).to be < 3 << 20
      end
    end
  end

  it "does not grow with 100,000 calls" do
    in_store("lmdb") do |store|
      value = { "a" => "x" * 500, "b" => [1] * 20 }
      store["k"] = value
      20_000.times { store["k"] }
      before = settled
      100_000.times { store["k"] }
      expect(settled - before).to be < 2 << 20
    end
  end

  it "does not grow with blocks that end badly, nor with fibers" do
    in_store do |store|
      bad = lambda do |times|
        times.times do
          store.update("k") { break }
          store.fetch_or_set("none") { raise IOError }
        rescue IOError
          nil
        end
      end
      bad.call(300)
      before = settled
      bad.call(1500)
      expect(settled - before).to be < 3 << 20
    end
  end

  it "is given back with the stores" do
    open = -> { Kivi.open("memory:").tap { |store| store["k"] = "x" * 1_000_000 } }
    150.times { open.call }
    before = settled
    150.times { open.call }
    expect(settled - before).to be < 30 << 20
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
