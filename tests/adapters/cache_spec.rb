# frozen_string_literal: true

require_relative "support"
require "kivi/cache"
require "active_support/core_ext/numeric/time"

# What ActiveSupport's own behaviours (activesupport.rb) do not ask.
RSpec.describe Kivi::Cache::Store do
  Adapters::KINDS.each do |kind, url|
    context "on #{kind}" do
      around { |example| Kivi.open(url.call) { |store| (@store = store) && example.run } }
      let(:cache) { described_class.new(@store, namespace: "app", expires_in: 60) }

      it "lets the store expire what it expires" do
        cache.write("a", 1)
        cache.write("b", 1, expires_in: 2.minutes)
        cache.write("c", 1, race_condition_ttl: 10)
        cache.write_multi({ "d" => 1 }, expires_in: 30.seconds)
        expect(%w[a b c d].map { |key| Adapters.left(@store, "app:#{key}") }).to eq([60, 120, 360, 30])
        described_class.new(@store).write("never", 1)
        expect(@store.ttl("never")).to be_nil
      end

      it "counts as the store does" do
        expect([cache.increment("n"), cache.increment("n", 5), cache.decrement("n", 2)]).to eq([1, 6, 4])
        expect(@store["app:n"]).to eq(4)
        expect([cache.read("n"), cache.read("n", raw: true)]).to eq([4, "4"])
        cache.write("text", "007", raw: true)
        expect(cache.read("text", raw: true)).to eq("007")
        cache.write("entry", 5)
        expect { cache.increment("entry") }.to raise_error(Kivi::WrongType)
      end

      it "clears its namespace and nothing else" do
        @store["other"] = 1
        cache.write_multi("a" => 1, "b" => 2, "x/1" => 3)
        cache.delete_matched("x/*")
        expect(cache.read_multi("a", "b", "x/1")).to eq("a" => 1, "b" => 2)
        cache.delete_matched(/^a$/)
        expect([cache.exist?("a"), cache.exist?("b"), @store.size]).to eq([false, true, 2])
        cache.clear
        expect(@store.keys).to eq(["other"])
      end

      it "keeps keys that are too long for the store apart" do
        keys = %w[x y].map { |tail| "ü" * 300_000 + tail }
        keys.each { |key| cache.write(key, key[-1]) }
        expect(cache.read_multi(*keys).values).to eq(%w[x y])
        expect(keys.map { |key| cache.delete(key) }).to eq([true, true])
      end
    end
  end

  it "opens a URL, with the options of kivi" do
    cache = described_class.new("memory:", namespace: "a", max_value: "1KiB")
    expect(cache.write("k", "x")).to be(true)
    log = StringIO.new
    cache.logger = ActiveSupport::Logger.new(log)
    expect(cache.write("k", SecureRandom.bytes(5000))).to be(false)
    expect(log.string).to include("Kivi::TooLarge")
    expect { described_class.new("memory:", colour: 1) }.to raise_error(Kivi::Invalid, /colour/)
  end

  it "says what no outage explains" do
    cache = described_class.new("memory:")
    cache.instance_variable_get(:@store).close
    expect { cache.read("k") }.to raise_error(Kivi::Closed)
  end
end

RSpec.describe "durations" do
  it "are seconds wherever seconds are asked for" do
    Kivi.open("memory:", timeout: 2.seconds) do |store|
      store.set("a", 1, ttl: 5.minutes)
      store.increment("n", 1, ttl: 1.hour, timeout: 2.seconds)
      store.set("r", 1, ttl: 100r)
      store.apply([{ op: :set, key: "op", value: 1, ttl: 1.day }])
      expect(%w[a n r op].map { |key| Adapters.left(store, key) }).to eq([300, 3600, 100, 86_400])
      expect(store.expire("a", 1.hour)).to be(true)
      store.get_and_expire("n", 2.hours)
      expect(%w[a n].map { |key| Adapters.left(store, key) }).to eq([3600, 7200])
      expect { store.set("a", 1, ttl: 0.seconds) }.to raise_error(Kivi::Invalid)
      ["5", Time.now, :five, [5], 5.minutes.method(:to_f)].each { |ttl| expect { store.set("a", 1, ttl: ttl) }.to raise_error(TypeError) }
    end
  end
end
