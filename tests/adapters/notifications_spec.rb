# frozen_string_literal: true

require_relative "support"
require "kivi/notifications"

RSpec.describe Kivi::Notifications do
  # What was told while the block ran: names, payloads and threads.
  def told(&block)
    events = []
    see = lambda do |name, _begin, _end, _id, payload|
      events << [name, payload.except(:store, :exception, :exception_object), Thread.current, payload]
    end
    ActiveSupport::Notifications.subscribed(see, /\.kivi\z/, &block)
    events
  end

  Adapters::KINDS.each do |kind, url|
    it "tell of each call on #{kind}, and what they are about" do
      Kivi.open(url.call) do |store|
        expect(described_class.watch(store)).to equal(store)
        events = told do
          store["a"] = 1
          store.set_many({ "b" => 2, "c" => 3 })
          store.update(:a) { |value| value + 1 }
          store.fetch_or_set("d") { 4 }
          store.get_many("a", "b", "none")
          store.delete("b")
          store.scan("c").to_a
          store.count
        end
        expect(events.map { |name, about| [name, about] }).to eq(
          [["set.kivi", { key: "a" }], ["set_many.kivi", { items: 2 }], ["update.kivi", { key: "a" }], ["get.kivi", { key: "d" }],
           ["fetch_or_set.kivi", { key: "d" }], ["get_many.kivi", { items: 3 }], ["delete.kivi", { key: "b" }],
           ["page.kivi", { prefix: "c" }], ["count.kivi", { prefix: "" }]]
        )
        expect(events.map { |event| event[2] }.uniq).to eq([Thread.current])
        expect(events.map { |event| event[3][:store] }.uniq).to eq([store.url])
        expect(store.get_many("a", "c", "d")).to eq("a" => 2, "c" => 3, "d" => 4)
      end
    end
  end

  it "has what was raised" do
    Kivi.open("memory:") do |store|
      described_class.watch(store)
      store["text"] = "x"
      events = told { expect { store.increment("text") }.to raise_error(Kivi::WrongType) }
      expect(events.map { |event| event[3][:exception_object].class }).to eq([Kivi::WrongType])
    end
  end

  it "tells nothing of stores that are not watched" do
    Kivi.open("memory:") { |store| expect(told { store["a"] = 1 }).to eq([]) }
  end

  it "tells of what happens inside, of every kind" do
    events = told do
      Kivi.open("memory:?fail_rate=0.3&seed=7", on_event: described_class.events, event_keys: true) do |store|
        30.times { |n| store.set("k#{n}", n, ttl: 0.001) }
        sleep 0.01
        30.times { store["other"] = 1 }
      end
    end
    expect(events.map(&:first).uniq).to match_array(%w[call.kivi vector.kivi retry.kivi reconnect.kivi sweep.kivi])
    calls = events.select { |name,| name == "call.kivi" }
    expect(calls.size).to eq(60)
    expect(calls.first[3]).to include(kind: :call, scheme: "memory", verb: "set", status: "OK", key: "k0", error: nil, duration: be > 0)
    expect(events.map { |event| event[2] }.uniq).to eq([Thread.current])
  end

  it "warns where a subscriber raises, and the call goes on" do
    ActiveSupport::Notifications.subscribed(->(*) { raise "a fault of its own" }, "call.kivi") do
      Kivi.open("memory:", on_event: described_class.events) do |store|
        expect { store["a"] = 1 }.to output(/on_event: .*a fault of its own/m).to_stderr
        expect { expect(store["a"]).to eq(1) }.to output(/on_event/).to_stderr
      end
    end
  end
end
