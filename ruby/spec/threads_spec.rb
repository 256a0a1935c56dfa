# frozen_string_literal: true

require "spec_helper"

RSpec.describe "threads" do
  # A store whose answers can be held back.
  def held
    proxy = Proxy.new(REDIS)
    Kivi.open(proxy.url("namespace=ruby-held-#{Process.pid}"), timeout: 30) do |store|
      store["k"] = 1
      proxy.hold
      yield store, proxy
    ensure
      proxy.release
      store.close
    end
  ensure
    proxy&.close
  end

  def waiting(&block)
    Thread.new(&block).tap do |thread|
      thread.report_on_exception = false
      Thread.pass until thread.status == "sleep"
      sleep 0.05
    end
  end

  it "share a store" do
    %w[memory lmdb redis].each do |kind|
      in_store(kind) do |store|
        threads = Array.new(8) do |n|
          Thread.new { 50.times { |i| store["k#{n}"] = { "i" => i } and expect(store["k#{n}"]).to eq("i" => i) } }
        end
        threads.each(&:join)
        expect(store.size).to eq(8)
      end
    end
  end

  it "go on while one waits" do
    held do |store, proxy|
      thread = waiting { store["k"] }
      expect(Array.new(100) { |i| i }.sum).to eq(4950)
      proxy.release
      expect(thread.value).to eq(1)
    end
  end

  it "may be killed while they wait" do
    held do |store, proxy|
      [-> { store["k"] }, -> { store["k"] = 2 }, -> { store.scan.to_a }, -> { store.update("k") { 2 } },
       -> { store.fetch_or_set("n") { 2 } }, -> { store.get_many("k", "n") }].each do |call|
        thread = waiting(&call)
        thread.kill
        expect(thread.join(10)).to equal(thread)
      end
      proxy.release
      expect(store["k"]).to be_an(Integer)
    end
  end

  it "may be raised in while they wait" do
    held do |store, proxy|
      [-> { store["k"] }, -> { store.set("k", 2) }, -> { store.update("k") { 2 } }].each do |call|
        thread = waiting(&call)
        thread.raise(IOError, "from outside")
        expect { thread.join(10) or raise "it waits" }.to raise_error(IOError, "from outside")
        expect { Timeout.timeout(0.1) { call.call } }.to raise_error(::Timeout::Error)
      end
      expect { store.get("k", timeout: 0.1) }.to raise_error(Kivi::Timeout)
      proxy.release
      expect(store["k"]).to be_an(Integer)
    end
  end

  it "may be woken for nothing while they wait" do
    held do |store, proxy|
      thread = waiting { store["k"] }
      3.times { thread.wakeup and sleep 0.06 }
      expect(thread).to be_alive
      proxy.release
      expect(thread.value).to eq(1)
    end
  end

  it "that wait are told when the store is closed" do
    held do |store, _|
      threads = Array.new(3) { waiting { store["k"] } }
      store.close
      threads.each { |thread| expect { thread.join(10) or raise "it waits" }.to raise_error(Kivi::Closed) }
    end
  end

  it "in a block that another thread's failure ends" do
    in_store do |store|
      thread = waiting { store.update("k") { sleep } }
      thread.raise(IOError, "enough")
      expect { thread.join(10) or raise "it waits" }.to raise_error(IOError, "enough")
      thread = waiting { store.fetch_or_set("k") { sleep } }
      others = Array.new(2) { waiting { store.fetch_or_set("k") { 5 } } }
      thread.kill
      expect(others.map { |other| other.join(10)&.value }).to eq([5, 5])
    end
  end

  it "that wait for a computation get what it raised, at once" do
    %w[memory redis].each do |kind|
      in_store(kind) do |store|
        ran = 0
        raised = Array.new(6) do
          waiting { store.fetch_or_set("k", timeout: 30) { ran += 1 and sleep(0.5) and raise(IOError, "no luck") } }
        end
        errors = raised.map { |thread| thread.join(10) && nil rescue $! }
        expect(errors.map { |error| [error.class, error.message] }).to eq([[IOError, "no luck"]] * 6)
        expect([ran, errors.uniq(&:object_id).size]).to eq([1, 1])
        GC.start
        expect(store.fetch_or_set("k") { 5 }).to eq(5)
      end
    end
  end

  it "that wait for a computation are told that there is no value" do
    in_store do |store|
      ran = 0
      threads = Array.new(4) { waiting { store.fetch_or_set("k", timeout: 30) { ran += 1 and sleep(0.5) and Kivi::LEAVE } } }
      expect(threads.map { |thread| thread.join(10) ? thread.value : :late }).to eq([nil] * 4)
      expect([ran, store.key?("k"), store.fetch_or_set("k") { Kivi::LEAVE }]).to eq([1, false, nil])
    end
  end

  it "compute in one process at a time where there is a lease" do
    in_store("lmdb") do |store|
      program = "Kivi.open(ARGV[0]) { |s| puts s.fetch_or_set('k', lease: 60, timeout: 30) { s.increment('ran'); sleep 0.5; Process.pid } }"
      said = Array.new(4) { IO.popen([RbConfig.ruby, "-rkivi", "-e", program, store.url], err: %i[child out]) }.map(&:read)
      expect(said.uniq.size).to eq(1)
      expect([store["ran"], store["k"], store.keys.sort]).to eq([1, said.first.to_i, %w[k ran]])
      store["kivi:lease:dead"] = 1
      store.expire("kivi:lease:dead", 0.3)
      expect(store.fetch_or_set("dead", lease: 60) { 7 }).to eq(7)
      expect { store.fetch_or_set("n", lease: 0) { 7 } }.to raise_error(Kivi::Invalid)
    end
  end

  it "end by Ctrl-C" do
    held do |store, _|
      ["store['k']", "store['k'] = 2", "store.update('k') { 2 }", "store.scan.to_a"].each do |call|
        # Whoever runs the specs in the background may have it ignored, which children inherit.
        program = "trap('INT', 'DEFAULT'); store = Kivi.open(ARGV[0], timeout: 60); $stdout.sync = true; " \
                  "puts 'waits'; begin; #{call}; " \
                  "rescue Interrupt; puts 'interrupted'; end"
        IO.popen([RbConfig.ruby, "-rkivi", "-e", program, store.url], err: %i[child out]) do |child|
          expect(child.gets).to eq("waits\n")
          sleep 0.2
          Process.kill("INT", child.pid)
          expect(child.read).to eq("interrupted\n")
        end
      end
    end
  end

  describe "of an opening that waits" do
    # F_OFD_SETLK of Linux, and an exclusive lock of a whole file: as if another process were opening it.
    OFD_SETLK = 37
    WHOLE_FILE = [1, 0, 0, 0, 0].pack("s!s!x4q!q!i!x4")

    def held_file
      Dir.mktmpdir do |folder|
        path = File.join(folder, "held.mdb")
        File.open("#{path}-kivi", "w") do |lock|
          lock.fcntl(OFD_SETLK, WHOLE_FILE)
          yield path
        end
      end
    end

    def opening(path, **options)
      thread = Thread.new { Kivi.open("lmdb:#{path}", timeout: 60, **options) }
      thread.report_on_exception = false
      sleep 0.01 until File.exist?(path) || !thread.alive?
      thread
    end

    it "are kill, raise and Timeout" do
      held_file do |path|
        thread = opening(path)
        thread.kill
        expect(thread.join(20)).to equal(thread)
        expect(File.exist?(path)).to be(false)
        thread = opening(path)
        thread.raise(IOError, "from outside")
        expect { thread.join(20) or raise "it waits" }.to raise_error(IOError, "from outside")
        expect { Timeout.timeout(0.2) { Kivi.open("lmdb:#{path}", timeout: 60) } }.to raise_error(::Timeout::Error)
        expect { Kivi.open("lmdb:#{path}", timeout: 0.2) }.to raise_error(Kivi::Timeout)
      end
    end

    it "are a signal's, which ends it or does not" do
      held_file do |path|
        program = "trap('INT', 'DEFAULT'); trap('USR1') { $stdout.syswrite('handled ') }; " \
                  "begin; Kivi.open('lmdb:' + ARGV[0], timeout: 60); rescue Interrupt; puts 'interrupted'; end"
        IO.popen([RbConfig.ruby, "-rkivi", "-e", program, path], err: %i[child out]) do |child|
          sleep 0.01 until File.exist?(path)
          Process.kill("USR1", child.pid)
          expect(child.readpartial(8)).to eq("handled ")
          Process.kill("INT", child.pid)
          expect(child.read).to eq("interrupted\n")
        end
      end
    end
  end

  it "go on after a signal that is handled" do
    held do |store, proxy|
      program = "trap('USR1') { $seen = true }; store = Kivi.open(ARGV[0], timeout: 60); $stdout.sync = true; puts 'waits'; " \
                "value = store['k']; puts [value, $seen].inspect"
      IO.popen([RbConfig.ruby, "-rkivi", "-e", program, store.url], err: %i[child out]) do |child|
        child.gets
        sleep 0.2
        Process.kill("USR1", child.pid)
        sleep 0.2
        proxy.release
        expect(child.read).to eq("[1, true]\n")
      end
    end
  end

  # Signals that come while a call is being made again must not pass for its answer.
  it "write what they say in a storm of signals" do
    program = <<~'RUBY'
      trap("USR1") { $seen = true }
      store, pid = Kivi.open("memory:?latency=60ms", timeout: 60), Process.pid
      sender = fork do
        trap("USR1", "DEFAULT")
        loop do
          sleep(0.1)
          ends = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 0.06
          Process.kill("USR1", pid) while Process.clock_gettime(Process::CLOCK_MONOTONIC) < ends
        end
      rescue Errno::ESRCH
        exit!
      end
      40.times { |i| store["k#{i}"] = i }
      Process.kill("KILL", sender)
      Process.wait(sender)
      puts [store.get_many((0...40).map { |i| "k#{i}" }).size, $seen].inspect
    RUBY
    expect(ruby(program)).to eq("[40, true]\n")
  end

  it "end with the process while one waits" do
    held do |store, _|
      expect(ruby("store = Kivi.open(ARGV[0], timeout: 60); Thread.new { store['k'] }; sleep 0.2; puts 'end'", store.url))
        .to eq("end\n")
    end
  end

  it "may close a store while others scan it" do
    in_store("lmdb") do |store|
      store.set_many((0...3000).to_h { |i| ["k#{i}", "x" * 100] })
      threads = Array.new(3) { waiting { loop { store.scan.to_a } } }
      store.close
      threads.each { |thread| expect { thread.join(10) or raise "it goes on" }.to raise_error(Kivi::Closed) }
    end
  end

  it "read in place while a write makes the file grow" do
    in_store("lmdb", map_size: 1 << 20) do |store|
      store["k"] = "x" * 1000
      readers = Array.new(3) { Thread.new { 300.times { expect(store["k"].size).to eq(1000) } } }
      40.times { |i| store["big#{i}"] = "y" * 100_000 }
      readers.each(&:join)
      expect(store.size).to eq(41)
    end
  end
end
