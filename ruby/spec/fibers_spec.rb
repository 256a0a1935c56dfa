# frozen_string_literal: true

require "spec_helper"

RSpec.describe "a fiber scheduler" do
  def url = Places::KINDS["redis"].call

  it "lets other fibers run while a call waits" do
    proxy = Proxy.new(REDIS)
    order = []
    SmallScheduler.run do
      Fiber.schedule do
        Kivi.open(proxy.url("namespace=ruby-fibers"), timeout: 20) do |store|
          store["k"] = 1
          proxy.hold
          Fiber.schedule { order << :asks << store["k"] }
          Fiber.schedule { sleep(0.05) && order << :meanwhile && proxy.release }
          sleep 0.3
          store.clear
        end
      end
    end
    expect(order).to eq([:asks, :meanwhile, 1])
  ensure
    proxy.close
  end

  it "has many calls in flight on one descriptor" do
    place = url
    waits = SmallScheduler.run do |scheduler|
      Fiber.schedule do
        Kivi.open(place) do |store|
          done = 0
          50.times do |n|
            Fiber.schedule do
              store["k#{n}"] = n
              5.times { expect(store["k#{n}"]).to eq(n) }
              done += 1
            end
          end
          sleep 0.01 until done == 50
          expect(store.scan.count).to eq(50)
          expect(store.get_many("k1", "k2")).to eq("k1" => 1, "k2" => 2)
          expect(store.get("none", :other)).to eq(:other)
          store.clear
        end
      end
      scheduler
    end.io_waits
    expect(waits).to be_between(1, 300) # there were 300 calls and more
  end

  it "runs blocks on their own fiber" do
    place = url
    seen = []
    SmallScheduler.run do
      Fiber.schedule do
        Kivi.open(place) do |store|
          Fiber.schedule { seen << store.update("k") { |value| sleep(0.05) && (value || 0) + 1 } }
          Fiber.schedule { seen << :other }
          sleep 0.2
          seen << store.fetch_or_set("k") { raise } << store.update("k") { break :broken } << store["k"]
          store.clear
        end
      end
    end
    expect(seen).to eq([:other, 1, 1, :broken, 1])
  end

  it "raises failures in the fiber that asked" do
    place = url
    failures = []
    SmallScheduler.run do
      Fiber.schedule do
        Kivi.open(place) do |store|
          store["t"] = "text"
          [-> { store.increment("t") }, -> { store["t"] = Object.new }, -> { store[""] }, -> { store.close || store["t"] }].each do |call|
            call.call
          rescue Kivi::Error => e
            failures << e.class
          end
        end
      end
    end
    expect(failures).to eq([Kivi::WrongType, Kivi::Unrepresentable, Kivi::Invalid, Kivi::Closed])
  end

  it "may end a fiber that waits; the others go on" do
    proxy = Proxy.new(REDIS)
    seen = []
    SmallScheduler.run do
      Fiber.schedule do
        Kivi.open(proxy.url("namespace=ruby-fibers-raise"), timeout: 20) do |store|
          store["k"] = 1
          proxy.hold
          fibers = Array.new(3) do |n|
            Fiber.schedule do
              seen << [n, store["k"]]
            rescue IOError => e
              seen << [n, e.message]
            end
          end
          fibers[0].raise(IOError, "first") # it reads the descriptor
          fibers[1].raise(IOError, "second")
          proxy.release
          sleep 0.2
          5.times { seen << store["k"] }
          store.clear
        end
      end
    end
    expect(seen).to eq([[0, "first"], [1, "second"], [2, 1], 1, 1, 1, 1, 1])
  ensure
    proxy.close
  end

  it "is passed by for stores in this process" do
    waits = SmallScheduler.run do |scheduler|
      Fiber.schedule { in_store("lmdb") { |store| 10.times { |i| store["k"] = i } } }
      scheduler
    end.io_waits
    expect(waits).to eq(0)
  end

  it "of each thread has calls of its own on one store" do
    in_store("redis") do |store|
      threads = Array.new(3) do |n|
        Thread.new do
          SmallScheduler.run { 5.times { |i| Fiber.schedule { store["#{n}/#{i}"] = i and store["#{n}/#{i}"] } } }
        end
      end
      plain = Thread.new { 30.times { |i| store["plain"] = i } }
      (threads << plain).each(&:join)
      expect(store.size).to eq(16)
    end
  end
end
