# frozen_string_literal: true

require "spec_helper"

# take and get_and_expire: what cannot be handed over stays where it is.
RSpec.describe "taking" do
  refuse = ->(_type, _data) { raise ZeroDivisionError, "refused" }
  bad = {
    "no msgpack" => ["\x92\x01".b, Kivi::Corrupt],
    "more than one value" => ["\x01\x02".b, Kivi::Corrupt],
    "keys that merge" => ["\x82\x01\xa1a\x01\xa1b".b, Kivi::Unrepresentable],
    "a hook that raises" => ["\xd4\x01x".b, ZeroDivisionError]
  }
  calls = {
    "take" => ->(store) { store.take("k") },
    "take with a default" => ->(store) { store.take("k", 5) },
    "get_and_expire" => ->(store) { store.get_and_expire("k", 5) },
    "get_and_expire for ever" => ->(store) { store.get_and_expire("k", nil) }
  }

  # The store, and the same keys as another program writes them.
  def both(kind, ext)
    in_store(kind, ext: ext) do |store|
      Kivi.open(Places.with(store.url, "codec=raw")) { |raw| yield store, raw }
    end
  end

  def in_a_fiber(done = nil)
    SmallScheduler.run { Fiber.schedule { done = yield } }
    done
  end

  places = { "memory" => :itself, "lmdb" => :itself, "redis" => :itself, "redis in a fiber" => :in_a_fiber }
  places.each do |place, how|
    kind = place.split.first
    run = ->(example, &body) { how == :itself ? example.instance_exec(&body) : example.in_a_fiber { example.instance_exec(&body) } }

    it "leaves what cannot be read, on #{place}" do
      run.call(self) do
        both(kind, refuse) do |store, raw|
          bad.to_a.product(calls.to_a).each do |(name, (bytes, error)), (call, make)|
            raw.set("k", bytes, ttl: 100)
            raised = begin
              make.call(store)
            rescue StandardError => e
              e
            end
            expect([name, call, raised.class]).to eq([name, call, error])
            expect(raised.instance_variable_get(:@stored)).to eq(bytes)
            expect(raised.stored).to eq(bytes) if raised.is_a?(Kivi::Error)
            expect(raw["k"]).to eq(bytes)
            expect(raw.ttl("k")).to be > 50
          end
        end
      end
    end

    it "takes what can be read, and again what is written meanwhile, on #{place}" do
      run.call(self) do
        seen = []
        others = nil
        hook = lambda do |_type, data|
          seen << data
          others["k"] = seen.size < 4 ? "\xd4\x01#{seen.size}".b : "\x07".b
          data
        end
        both(kind, hook) do |store, raw|
          others = raw
          raw["k"] = "\xd4\x010".b
          expect(store.take("k")).to eq(7)
          expect(seen).to eq(%w[0 1 2 3])
          expect(raw.key?("k")).to be(false)
          store["k"] = { "a" => [1, nil] }
          expect(store.get_and_expire("k", 100)).to eq({ "a" => [1, nil] })
          expect(store.ttl("k")).to be > 50
          expect(store.get_and_expire("k", nil)).to eq({ "a" => [1, nil] })
          expect([store.ttl("k"), store.take("k"), store.take("k"), store.take("k", 5)])
            .to eq([nil, { "a" => [1, nil] }, nil, 5])
        end
      end
    end
  end
end
