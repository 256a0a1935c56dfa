# frozen_string_literal: true

require "spec_helper"

RSpec.describe "processes and Ractors" do
  # What the block answers in a forked child.
  def in_child
    reader, writer = IO.pipe
    child = fork do
      reader.close
      answer = begin
        yield
      rescue Exception => e # rubocop:disable Lint/RescueException
        e.class
      end
      Marshal.dump(answer, writer)
      writer.close
      exit!(0)
    end
    writer.close
    Marshal.load(reader.read).tap { Process.wait(child) } # rubocop:disable Security/MarshalLoad
  end

  %w[memory lmdb redis].each do |kind|
    it "go on with a store opened before the fork, on #{kind}" do
      in_store(kind) do |store|
        store["k"] = 1
        expect(store["k"]).to eq(1)
        answers = Array.new(3) { in_child { [store["k"], store.set("child", 2)["child"], store.update("k") { |v| v + 1 }, store.scan.to_a.size] } }
        # memory is each child's own copy
        expect(answers).to eq(kind == "memory" ? [[1, 2, 2, 2]] * 3 : [[1, 2, 2, 2], [2, 2, 3, 2], [3, 2, 4, 2]])
        expect(store["k"]).to eq(kind == "memory" ? 1 : 4)
        expect(store["child"]).to eq(kind == "memory" ? nil : 2)
      end
    end
  end

  it "open stores after the fork" do
    expect(in_child { Kivi.open(REDIS, namespace: "ruby-child") { |store| store.set("k", 1)["k"] } }).to eq(1)
  end

  it "fork in a block, and the child is told" do
    in_store("redis") do |store|
      store["k"] = 1
      seen = store.update("k") do |value|
        expect(in_child { store["k"] }).to eq(1)
        value + 1
      end
      expect(seen).to eq(2)
      answer = nil
      child = nil
      begin
        store.update("k") { (child = fork) ? 3 : 99 }
      rescue Kivi::Error => e
        answer = e
      ensure
        exit!(answer.is_a?(Kivi::Forked) ? 7 : 1) unless child
      end
      expect(Process.wait2(child).last.exitstatus).to eq(7)
      expect(store["k"]).to eq(3)
    end
  end

  it "prefork as Puma and Unicorn do: master opens, threads of workers call" do
    in_store("redis") do |store|
      store["k"] = 0
      workers = Array.new(3) do
        fork do
          Array.new(4) { Thread.new { 10.times { store.increment("k") } } }.each(&:join)
          exit!(0)
        end
      end
      20.times { store.increment("k") }
      expect(workers.map { |worker| Process.wait2(worker).last.exitstatus }).to eq([0, 0, 0])
      expect(store["k"]).to eq(140)
    end
  end

  it "fork with a store that a fiber scheduler has used, and use it under one of their own" do
    in_store("redis") do |store|
      use = ->(value) { SmallScheduler.run { Fiber.schedule { store["k"] = value } } && store["k"] }
      expect([use.call(1), in_child { use.call(2) }, store["k"], use.call(3)]).to eq([1, 2, 2, 3])
    end
  end

  it "are refused in another Ractor than the main one" do
    output = ruby(<<~PROGRAM)
      Warning[:experimental] = false
      opened = Ractor.new { begin; Kivi.open("memory:"); rescue => e; e.class; end }.take
      store = Kivi.open("memory:")
      moved = begin; Ractor.new(store) { |s| s["a"] }.take; rescue => e; e.class; end
      shared = begin; Ractor.make_shareable(store); rescue => e; e.class; end
      p opened, moved, shared, store["a"] = 1
    PROGRAM
    expect(output).to eq("Ractor::UnsafeError\nTypeError\nRactor::Error\n1\n")
  end
end
