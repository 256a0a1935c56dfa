# frozen_string_literal: true

require "spec_helper"

RSpec.describe "the manners of a Hash" do
  %w[memory lmdb redis].each do |kind|
    context "on #{kind}" do
      around { |example| in_store(kind) { |store| (@store = store) && example.run } }
      attr_reader :store

      it "reads and writes with brackets" do
        expect(store["a"]).to be_nil
        expect(store["a"] = 1).to eq(1)
        expect(store["a"]).to eq(1)
        expect(store[:a]).to eq(1)
        store.store("b", 2)
        expect(store.get("b")).to eq(2)
        expect(store.get("c", 3)).to eq(3)
        expect(store.set("c", 4, ttl: 50)).to equal(store)
        expect(store.ttl("c")).to be_between(40, 50)
      end

      it "fetches" do
        store["a"] = nil
        expect(store.fetch("a")).to be_nil
        expect(store.fetch("b", 1)).to eq(1)
        expect(store.fetch("b") { |key| "#{key}!" }).to eq("b!")
        expect { store.fetch("b") }.to raise_error(KeyError, 'key not found: "b"') { |error|
          expect(error).to be_a(Kivi::Error)
          expect(error).to have_attributes(key: "b", receiver: store, status: "NOT_FOUND")
        }
      end

      it "knows its keys" do
        store["a"] = 1
        expect([store.key?("a"), store.include?("b"), store.member?(:a), store.has_key?("b"), store.exists?("a")])
          .to eq([true, false, true, false, true])
        expect(store.delete("a")).to be(true)
        expect(store.delete("a")).to be(false)
      end

      it "counts" do
        expect(store).to be_empty
        store.set_many("a/1" => 1, "a/2" => 2, "b" => 3)
        expect(store).not_to be_empty
        expect([store.size, store.length, store.count, store.count("a/"), store.count { |_, value| value > 1 }])
          .to eq([3, 3, 3, 2, 2])
        expect(store.clear("a/")).to eq(2)
        expect(store.clear).to eq(1)
      end

      it "is Enumerable" do
        store.set_many([["a", 1], ["b", 2], ["c", 3]])
        expect(store.to_h).to eq("a" => 1, "b" => 2, "c" => 3)
        expect(store.to_h { |key, value| [key.to_sym, value * 2] }).to eq(a: 2, b: 4, c: 6)
        expect(store.to_a.sort).to eq([["a", 1], ["b", 2], ["c", 3]])
        expect(store.map { |key, value| key * value }.sort).to eq(%w[a bb ccc])
        expect(store.each_with_object([]) { |(key, _), seen| seen << key }.sort).to eq(%w[a b c])
        expect(store.keys.sort).to eq(%w[a b c])
        expect(store.values.sort).to eq([1, 2, 3])
        expect(store.sum { |_, value| value }).to eq(6)
        expect(store.each_pair { |_pair| nil }).to equal(store)
        expect(store.each.size).to be_nil
        expect(store.find { |_, value| value == 2 }).to eq(["b", 2])
      end

      it "merges" do
        store["a"] = 1
        store.merge!({ "a" => 2, b: 3 }, { "c" => 4 })
        expect(store.to_h).to eq("a" => 2, "b" => 3, "c" => 4)
        store.merge!("a" => 10, "d" => 5) { |key, old, new| "#{key}#{old + new}" }
        expect(store.get_many("a", "d")).to eq("a" => "a12", "d" => 5)
        expect(store.merge!({})).to equal(store)
      end

      it "updates" do
        expect(store.update("n") { |value| [value, 1] }).to eq([nil, 1])
        expect(store.update("n", ttl: 60) { |value| value << 2 }).to eq([nil, 1, 2])
        expect(store.ttl("n")).to be_between(50, 60)
        expect(store.update("n") { 5 }).to eq(5)
        expect(store.ttl("n")).to be_between(50, 60)
        expect(store.update("n", ttl: Kivi::KEEP) { 5 }).to eq(5)
        expect(store.ttl("n")).to be_between(50, 60)
        expect(store.update("n") { Kivi::LEAVE }).to eq(5)
        expect(store.update("n") { Kivi::DELETE }).to be_nil
        expect(store.key?("n")).to be(false)
        expect { store.update("n") }.to raise_error(ArgumentError)
      end

      it "leaves a key alone when the block of update ends otherwise" do
        store["n"] = 1
        expect { store.update("n") { raise IOError, "no" } }.to raise_error(IOError, "no")
        expect(store.update("n") { break 7 }).to eq(7)
        expect(catch(:out) { store.update("n") { throw :out, 8 } }).to eq(8)
        expect(store.update("n") { |value| next value }).to eq(1)
        expect { store.update("n") { Object.new } }.to raise_error(Kivi::Unrepresentable)
        expect(store["n"]).to eq(1)
      end

      it "updates one key from many threads and loses nothing" do
        threads = Array.new(4) { Thread.new { 5.times { store.update("n") { |value| (value || 0) + 1 } } } }
        threads.each(&:join)
        expect(store["n"]).to eq(20)
      end

      it "fetches or sets" do
        expect(store.fetch_or_set("a", ttl: 60) { { "x" => 1 } }).to eq("x" => 1)
        expect(store.ttl("a")).to be_between(50, 60)
        expect(store.fetch_or_set("a") { raise "not asked" }).to eq("x" => 1)
        expect { store.fetch_or_set("b") { raise IOError, "no" } }.to raise_error(IOError, "no")
        expect(store.fetch_or_set("b") { break 3 }).to eq(3)
        expect(store.key?("b")).to be(false)
        expect(store.fetch_or_set("c") { nil }).to be_nil
        expect(store.key?("c")).to be(true)
      end

      it "computes a missing value once for all threads" do
        asked = 0
        answers = Array.new(6) { Thread.new { store.fetch_or_set("a") { sleep(0.05) && asked += 1 } } }.map(&:value)
        expect(answers).to eq([1] * 6)
      end

      it "fails for all threads that waited for a block that fails" do
        asked = 0
        compute = lambda do
          store.fetch_or_set("a") { (asked += 1) && sleep(0.5) && raise(IOError, "no") }
        rescue IOError, Kivi::Error => e
          e
        end
        failures = Array.new(6) { Thread.new(&compute) }.map(&:value)
        expect(asked).to be < 6
        expect(failures.map { |error| [error.class, error.message] }).to eq([[IOError, "no"]] * 6)
        expect(failures.uniq(&:object_id).size).to eq(asked)
        expect(store.fetch_or_set("a") { 7 }).to eq(7)
      end

      it "goes on after a block that is broken out of, for those who waited" do
        begun = Queue.new
        first = Thread.new { store.fetch_or_set("a") { begun << 1 and sleep(0.05) and break } }
        begun.pop
        expect(store.fetch_or_set("a") { 7 }).to eq(7)
        first.join
        expect(store["a"]).to eq(7)
      end

      it "updates inside a block, also the same key and across" do
        turns = 0
        store.update("a") { |old| (turns += 1) == 1 ? store.update("a") { 1 } && 5 : (old || 0) + 1 }
        expect(store["a"]).to eq(2)
        both = Queue.new
        across = lambda do |mine, other|
          first = true
          store.update(mine, timeout: 20) do |old|
            if first
              first = false
              both << 1
              Thread.pass until both.size == 2
              store.update(other, timeout: 20) { |now| (now || 0) + 1 }
            end
            (old || 0) + 1
          end
        end
        store.delete("a")
        [Thread.new { across.call("a", "b") }, Thread.new { across.call("b", "a") }].each(&:join)
        expect([store["a"], store["b"]]).to eq([2, 2])
      end

      it "takes, replaces, adds and compares" do
        expect([store.replace("a", 1), store.add("a", 1), store.add("a", 2), store.replace("a", 3)])
          .to eq([false, true, false, true])
        expect([store.compare_and_set("a", 1, 9), store.compare_and_set("a", 3, 4, ttl: 60)]).to eq([false, true])
        expect(store.compare_and_set("a", 4.0, 5)).to be(false)
        expect([store.compare_and_delete("a", 5), store.compare_and_delete("a", 4)]).to eq([false, true])
        store["b"] = [1]
        expect([store.take("b"), store.take("b"), store.take("b", 2)]).to eq([[1], nil, 2])
      end

      it "increments" do
        expect([store.increment("n"), store.increment("n", 5), store.increment("n", -10)]).to eq([1, 6, -4])
        store.set("n", 2**63 - 1)
        expect { store.increment("n") }.to raise_error(Kivi::Overflow)
        store["t"] = "text"
        expect { store.increment("t") }.to raise_error(Kivi::WrongType)
        expect { store.increment("n", 1.5) }.to raise_error(TypeError)
        expect { store.increment("n", 2**70) }.to raise_error(Kivi::Invalid)
      end

      it "expires" do
        store["a"] = 1
        expect(store.ttl("a")).to be_nil
        expect([store.expire("a", 0.5), store.expire("b", 1)]).to eq([true, false])
        expect(store.ttl("a")).to be_between(0.001, 0.5)
        expect([store.persist("a"), store.persist("b")]).to eq([true, false])
        expect(store.ttl("a")).to be_nil
        expect { store.ttl("b") }.to raise_error(Kivi::NotFound)
        expect(store.get_and_expire("a", 0.02)).to eq(1)
        sleep 0.05
        expect(store.get_and_expire("a", 1, :gone)).to eq(:gone)
        expect { store.set("a", 1, ttl: 0) }.to raise_error(Kivi::Invalid)
        expect { store.set("a", 1, ttl: "soon") }.to raise_error(TypeError)
        expect { store.expire("a", Float::NAN) }.to raise_error(Kivi::Invalid)
      end

      it "has calls for many keys" do
        store.set_many({ "a" => 1, "b" => [2] }, ttl: 60)
        expect(store.get_many("a", "b", "c")).to eq("a" => 1, "b" => [2])
        expect(store.get_many(%i[a c])).to eq(a: 1)
        expect(store.ttl("b")).to be_between(50, 60)
        expect(store.delete_many("a", "c")).to eq(1)
        expect(store.delete_many(["b"])).to eq(1)
        expect(store.get_many).to eq({})
        expect { store.set_many([["a"]]) }.to raise_error(TypeError)
      end

      it "applies operations" do
        value, version = store.get_versioned("a")
        expect([value, version]).to eq([nil, nil])
        results = store.apply([{ op: :set, key: "a", value: 1, if: :absent },
                               { "op" => "increment", "key" => "a", "by" => 4 },
                               { op: "set", key: "a", value: 2, if: "absent" },
                               { op: :touch, key: "none", ttl: 5 },
                               { op: :delete, key: "a", if_equal: 6 }])
        expect(results.map(&:status)).to eq(%w[OK OK CONDITION NOT_FOUND CONDITION])
        expect(results.map(&:ok?)).to eq([true, true, false, false, false])
        expect(results[1].integer).to eq(5)
        _, version = store.get_versioned("a")
        expect(version).to be_a(String)
        both = [{ op: :set, key: "a", value: 7, ttl: 60, if_version: version }, { op: :set, key: "b", value: 8 }]
        expect(store.apply(both, atomic: true).map(&:status)).to eq(%w[OK OK])
        failed = store.apply([{ op: :check, key: "a", if_equal: 1 }, { op: :delete, key: "b" }], atomic: true)
        expect(failed.map(&:status)).to eq(%w[CONDITION ABORTED])
        expect(store.to_h).to eq("a" => 7, "b" => 8)
        expect(store.apply([{ op: :delete, key: "b", if: :present }]).first).to be_existed
      end

      it "refuses operations that are none" do
        [[{ op: :set, key: "a" }, "value is for"], [{ op: :fly, key: "a" }, "op must be"],
         [{ op: :set, value: 1 }, "names its key"], [{ key: "a" }, "names its op"],
         [{ op: :check, key: "a" }, "needs if"], [{ op: :delete, key: "a", if: :maybe }, "if must be"],
         [{ op: :delete, key: "a", if: :absent, if_equal: 1 }, "one of"], [{ op: :delete, key: "a", by: 1 }, "by is for"],
         [{ op: :delete, key: "a", colour: 1 }, "no member :colour"]].each do |operation, message|
          expect { store.apply([operation]) }.to raise_error(Kivi::Invalid, /#{message}/)
        end
        expect { store.apply([1]) }.to raise_error(TypeError)
        expect(store.apply([])).to eq([])
      end

      it "scans lazily" do
        store.set_many((0...2500).to_h { |i| [format("k/%04d", i), i] })
        store["other"] = 0
        expect(store.scan("k/").to_h.size).to eq(2500)
        expect(store.scan("k/", limit: 7).to_a.size).to eq(7)
        expect(store.scan("k/").first(3).size).to eq(3)
        enumerator = store.scan("k/")
        expect(enumerator).to be_a(Enumerator)
        expect(enumerator.next.first).to start_with("k/")
        expect(store.scan("k/").lazy.map { |_, value| value }.select(&:even?).first(2).size).to eq(2)
        expect(store.keys("k/").size).to eq(2500)
        expect(store.each_value("k/").sum).to eq((0...2500).sum)
      end

      it "lets a scan be left at any time" do
        store.set_many((0...50).to_h { |i| ["k#{i}", i] })
        expect(store.scan { break :out }).to eq(:out)
        expect(catch(:found) { store.each { |key, _| throw :found, key } }).to start_with("k")
        expect { store.each { raise IOError } }.to raise_error(IOError)
        expect { store.each { raise StopIteration } }.to raise_error(StopIteration)
        expect(store.count).to eq(50)
      end

      it "has pages" do
        store.set_many((0...5).to_h { |i| ["k#{i}", i] })
        store.expire("k1", 60)
        page = store.page("k", limit: 2)
        seen = page.to_a
        while page.cursor
          page = store.page("k", cursor: page.cursor, limit: 2)
          seen.concat(page.to_a)
        end
        expect(seen.sort).to eq((0...5).map { |i| ["k#{i}", i] })
        expect(store.page(keys: true).sort).to eq(%w[k0 k1 k2 k3 k4])
        expect(store.page(ttl: true).map { |_, value, left| [value, left && left > 50] }.sort.first(2)).to eq([[0, nil], [1, true]])
        expect { store.page(cursor: "nonsense") }.to raise_error(Kivi::Invalid)
        expect(store.page.each.size).to eq(5)
      end

      it "tells of itself" do
        expect(store.health).to include(ok: true)
        expect(store.capabilities).to include(max_key: Integer, increment: "native")
        store["a"] = 1
        expect(store.stats).to include(calls: (1..))
        expect([store.scheme, store.codec]).to eq([kind, "msgpack"])
        expect(store.inspect).to eq("#<Kivi::Store #{store.url}>")
      end
    end
  end

  it "gives the code of a store whose codes are text" do
    Kivi.open("memory:?fail_keys=held&fail_status=busy") do |store|
      expect { store["held"] = 1 }.to raise_error(Kivi::Busy) { |error| expect(error.native_text).to eq("busy") }
    end
    expect(Kivi::Busy.new("said so").native_text).to eq("")
  end

  it "reads the keys after one where there is an order" do
    in_store("lmdb") do |store|
      store.set_many((0...10).to_h { |i| ["k#{i}", i] })
      expect(store.scan(after: "k6").to_a).to eq([["k7", 7], ["k8", 8], ["k9", 9]])
      expect(store.each_key(after: "k8").to_a).to eq(["k9"])
    end
  end

  it "ends a scan when the store is closed in it" do
    in_store do |store|
      store.set_many((0...1500).to_h { |i| ["k#{i}", i] })
      expect { store.each { store.close } }.to raise_error(Kivi::Closed)
    end
  end

  it "is one open store" do
    in_store do |store|
      expect { store.dup }.to raise_error(TypeError, /cannot be copied/)
      expect { store.clone }.to raise_error(TypeError, /cannot be copied/)
      expect { Marshal.dump(store) }.to raise_error(TypeError, /cannot be dumped/)
      expect { store.freeze }.to raise_error(TypeError)
      expect { Kivi::Store.new }.to raise_error(NoMethodError)
      expect { Kivi::Store.allocate.get("a") }.to raise_error(TypeError, /never opened/)
      expect(Kivi::Store.allocate.then { |raw| raw.closed? }).to be_nil
    end
  end

  it "closes with its block, whatever happens" do
    kept = nil
    expect { Kivi.open("memory:") { |store| (kept = store) && raise(IOError) } }.to raise_error(IOError)
    expect(kept).to be_closed
    expect(kept.inspect).to eq("#<Kivi::Store memory: (closed)>")
    expect(kept.close).to be_nil
    expect { kept["a"] }.to raise_error(Kivi::Closed)
    expect { kept.each(&:itself) }.to raise_error(IOError)
    expect(Kivi.open("memory:") { 5 }).to eq(5)
  end

  it "shows no secret" do
    Kivi.open("redis://:hidden@127.0.0.1:1/0", connect: nil) do |store|
      expect(store.inspect).not_to include("hidden")
      expect { store["a"] }.to raise_error(Kivi::Unavailable) { |error| expect(error.message).not_to include("hidden") }
    end
  end

  it "copies from store to store" do
    in_store do |from|
      from.set_many({ "a" => 1, "b" => 2 }, ttl: 60)
      from["c"] = 3
      in_store("lmdb") do |to|
        reports = []
        copied = Kivi.copy(from, to, batch: 2) { |report| reports << report }
        expect(copied).to have_attributes(copied: 3, skipped: 0, cursor: nil)
        expect(reports.map(&:copied)).to include(2, 3)
        expect(to.to_h).to eq("a" => 1, "b" => 2, "c" => 3)
        expect(to.ttl("a")).to be_between(50, 60)
        expect(Kivi.copy(from, to, add_only: true)).to have_attributes(copied: 0, skipped: 3)
        to.clear
        cut = nil
        begin
          Kivi.copy(from, to, batch: 1) { |report| (cut = report) && raise(IOError, "stop") }
        rescue IOError
          expect(cut.copied).to eq(1)
        end
        expect(Kivi.copy(from, to, cursor: cut.cursor)).to have_attributes(copied: 2)
        expect(Kivi.copy(from, to, prefix: "a", dry_run: true, expiry: false)).to have_attributes(copied: 1)
        expect(Kivi.copy(from, to) { break 9 }).to eq(9)
      end
    end
    expect { Kivi.copy("memory:x", 5) }.to raise_error(TypeError)
    expect { Kivi.copy("memory:x", "memory:x") }.to raise_error(Kivi::Invalid, /the same store/)
  end

  it "knows the stores and their options" do
    expect(Kivi.stores).to include(include(scheme: "memory", available: true))
    expect(Kivi.options("lmdb")).to include(include(name: "sync", type: :bool))
    expect { Kivi.options("nowhere") }.to raise_error(Kivi::Invalid)
    expect(Kivi::VERSION).to match(/\A\d+\.\d+\.\d+\z/)
    expect { Kivi::Core }.to raise_error(NameError)
  end

  it "takes options of every kind" do
    url = "lmdb:#{Places.folder}/options.mdb"
    Kivi.open(url, sync: false, timeout: 2.5, map_size: 1 << 20, codec: :json, in_place: nil) do |store|
      store["a"] = { "x" => 1 }
      expect(store.codec).to eq("json")
      expect(store["a"]).to eq("x" => 1)
      expect { store["b"] = "\xff".b }.to raise_error(Kivi::Unrepresentable)
    end
    expect { Kivi.open(url, colour: "red") }.to raise_error(Kivi::Invalid, /colour/)
    expect { Kivi.open(url, timeout: [1]) }.to raise_error(TypeError, /timeout/)
    expect { Kivi.open(url, codec: "a\0b") }.to raise_error(Kivi::Invalid)
    expect { Kivi.open("nowhere:") }.to raise_error(Kivi::Invalid)
    expect { Kivi.open("memory:", default: 5) }.to raise_error(TypeError, /default/)
    expect { Kivi.open(5) }.to raise_error(TypeError)
  end

  it "asks for the codec of another program's data with the first call, where only the server knows" do
    url = "memory:?learns=true&layout=foreign&shape=stepped&login=5ms"
    Kivi.open(url) do |store|
      2.times do
        expect { store["k"] }.to raise_error(Kivi::Invalid, /name the codec/)
        expect { store["k"] = 1 }.to raise_error(Kivi::Invalid, /name the codec/)
      end
    end
    Kivi.open(url, codec: :json) do |store|
      store["k"] = 1
      expect(store["k"]).to eq(1)
    end
  end
end
