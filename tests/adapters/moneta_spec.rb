# frozen_string_literal: true

require_relative "support"
require "kivi/moneta"

# Moneta's shared specs of its features, rewritten: its package has none.
RSpec.describe Moneta::Adapters::Kivi do
  binary = "\xff\x00\x80".b
  pairs = { "text" => "ü 1", "number" => "42", "padded" => "007", "empty" => "", binary => binary, "key/with %:*" => "x" * 5000 }

  Adapters::KINDS.each do |kind, url|
    { "alone" => ->(**options) { described_class.new(url: url.call, **options) },
      "by Moneta.new" => ->(**options) { Moneta.new(:Kivi, url: url.call, **options) } }.each do |how, make|
      context "on #{kind}, #{how}" do
        let(:store) { make.call(expires: nil) }
        after { store.close }

        it "keeps and gives back, by key and by bytes" do
          pairs.each do |key, value|
            expect(store.key?(key)).to be(false)
            expect(store[key]).to be_nil
            expect(store.store(key, value)).to eq(value)
            expect([store.key?(key), store[key], store.load(key), store.fetch(key)]).to eq([true, value, value, value])
          end
          expect(store.each_key.map(&:b)).to match_array(pairs.keys.map(&:b))
          pairs.each { |key, value| expect([store.delete(key), store.delete(key), store.key?(key)]).to eq([value, nil, false]) }
        end

        it "overwrites, fetches and clears" do
          store["a"] = "1"
          store["a"] = "2"
          expect([store["a"], store.fetch("b", "3"), store.fetch("b") { |key| key * 2 }]).to eq(["2", "3", "bb"])
          expect(store.clear).to equal(store)
          expect(store.each_key.to_a).to eq([])
          expect(store.each_key { raise "none" }).to equal(store)
        end

        it "reads and writes many" do
          expect(store.merge!({ "a" => "1", "b" => "2" })).to equal(store)
          expect(store.merge!({ "b" => "3", "c" => "4" }) { |key, old, new| key + old + new }).to equal(store)
          expect(store.values_at("c", "none", "b", "b")).to eq(["4", nil, "b23", "b23"])
          expect(store.fetch_values("a", "none") { |key| key.upcase }).to eq(%w[1 NONE])
          expect(store.slice("a", "none").to_h).to eq("a" => "1")
          expect([store.values_at, store.slice.to_a]).to eq([[], []])
          expect(store.merge!({})).to equal(store) if how == "alone" # Moneta's own transformer stumbles over it
        end

        it "creates once" do
          expect([store.create("a", "1"), store.create("a", "2"), store["a"]]).to eq([true, false, "1"])
          created = Array.new(8) { |i| Thread.new { store.create("race", i.to_s) } }.map(&:value)
          expect(created.count(true)).to eq(1)
        end

        it "counts" do
          expect([store.increment("n"), store.increment("n", 5), store.decrement("n", 2), store.decrement("m")]).to eq([1, 6, 4, -1])
          expect(store.load("n", raw: true)).to eq("4")
          store.store("n", "10", raw: true)
          expect(store.increment("n", -3)).to eq(7)
          expect(store.delete("n", raw: true)).to eq("7")
          Array.new(4) { Thread.new { 25.times { store.increment("all") } } }.each(&:join)
          expect(store.increment("all", 0)).to eq(100)
        end

        it "says what it can" do
          expect(%i[create increment each_key expires].map { |feature| store.supports?(feature) }).to all(be(true))
          expect { store.store("", "x") }.to raise_error(Kivi::Invalid) if how == "alone"
        end
      end
    end

    context "on #{kind}, with expiry" do
      let(:backend) { Kivi.open(url.call) }
      let(:store) { described_class.new(backend: backend, expires: 100) }
      after { store.close }

      def left(key) = Adapters.left(backend, key)

      it "sets it when it writes" do
        store["a"] = "1"
        store.store("b", "1", expires: 50)
        store.store("c", "1", expires: false)
        store.store("d", "1", expires: 0)
        store.create("e", "1", expires: 30)
        store.increment("f")
        store.merge!({ "g" => "1" }, expires: 20)
        expect(%w[a b c d e f g].map { |key| left(key) }).to eq([100, 50, nil, nil, 30, 100, 20])
        store["b"] = "2"
        expect(left("b")).to eq(100)
      end

      it "changes it when it reads and is told to" do
        store["a"] = "1"
        expect([store.load("a", expires: 50), left("a")]).to eq(["1", 50])
        expect([store.load("a"), left("a")]).to eq(["1", 50])
        expect([store.key?("a", expires: 70), left("a")]).to eq([true, 70])
        expect([store.load("a", expires: false), left("a")]).to eq(["1", nil])
        expect([store.key?("a", expires: 60), store.key?("a", expires: false), left("a")]).to eq([true, true, nil])
        expect([store.key?("none", expires: 60), store.load("none", expires: 60)]).to eq([false, nil])
        expect([store.values_at("a", "none", expires: 40), left("a")]).to eq([["1", nil], 40])
        expect([store.increment("a", 1, expires: 30), left("a")]).to eq([2, 30])
        expect { store.load("a", expires: -1) }.to raise_error(ArgumentError)
      end

      it "expires" do
        store.store("a", "1", expires: 0.05)
        sleep(0.05 + backend.capabilities[:ttl_resolution_ms] / 1000.0 + 0.05)
        expect([store["a"], store.key?("a"), store.create("a", "2")]).to eq([nil, false, true])
      end
    end
  end

  it "needs a backend or a URL" do
    expect { described_class.new }.to raise_error(ArgumentError)
    expect(described_class.new(url: "memory:").backend).to be_a(Kivi::Store)
  end
end
