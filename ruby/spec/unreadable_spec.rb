# frozen_string_literal: true

# Values that Ruby cannot read, among others that it can.
RSpec.describe "A value that cannot be read" do
  bad = "\x92\x01".b # the beginning of an array
  twice = "\x81\xA1m\x82\xA1x\x01\xA1x\x02".b # {"m" => {"x" => 1, "x" => 2}}

  # The store, and the same as another program writes it.
  def beside(kind, **options)
    in_store(kind, **options) do |store|
      raw = Kivi.open(store.url, codec: "raw")
      yield store, raw
      raw.close
    end
  end

  def failing
    yield
    raise "nothing was raised"
  rescue Kivi::Error, IOError => e
    e
  end

  calls = {
    get: ->(s) { s["bad"] }, fetch: ->(s) { s.fetch("bad", 1) }, get_versioned: ->(s) { s.get_versioned("bad") },
    get_and_expire: ->(s) { s.get_and_expire("bad", 60) }, take: ->(s) { s.take("bad") },
    update: ->(s) { s.update("bad") { 1 } }, fetch_or_set: ->(s) { s.fetch_or_set("bad") { 1 } },
    get_many: ->(s) { s.get_many("bad") }, scan: ->(s) { s.scan.to_a }, each_value: ->(s) { s.each_value.to_a },
    page: ->(s) { s.page.to_a }, to_h: ->(s) { s.to_h }
  }

  %w[lmdb redis].each do |kind|
    calls.each do |name, call|
      it "names its key in #{name} (#{kind})" do
        beside(kind) do |store, raw|
          raw["bad"] = bad
          error = failing { call.call(store) }
          expect(error).to be_a(Kivi::Corrupt)
          expect(error.message).to match(/\Akey "bad": msgpack/)
          expect(error.key).to eq("bad")
        end
      end
    end

    it "is told beside the others of get_many (#{kind})" do
      beside(kind) do |store, raw|
        store.set_many("a" => 1, "c" => nil)
        raw["b"] = bad
        raw["d"] = twice
        error = failing { store.get_many("a", "b", "missing", "c", "d", "b") }
        expect(error).to be_a(Kivi::Corrupt)
        expect(error.results).to eq("a" => 1, "c" => nil)
        expect(error.failures.transform_values { |e| [e.class, e.key] }).to eq(
          1 => [Kivi::Corrupt, "b"], 4 => [Kivi::Unrepresentable, "d"], 5 => [Kivi::Corrupt, "b"]
        )
        expect(error.failures[4].message).to start_with('key "d": value.m.x')
      end
    end

    [1, 7, 1000].each do |limit|
      it "ends no scan, in pages of #{limit} (#{kind})" do
        beside(kind) do |store, raw|
          100.times { |i| i.even? ? store["k#{i}"] = i : raw["k#{i}"] = bad }
          found = []
          told = []
          cursor = nil
          loop do
            page = store.page(cursor: cursor, limit: limit)
            page.each { |pair| found << pair }
            break unless (cursor = page.cursor)
          rescue Kivi::Error => e
            expect(e.key).to eq(e.failures.values.first.key)
            told.concat(e.failures.values.map(&:key))
            cursor = e.cursor
          end
          [found, told].each(&:uniq!) unless store.capabilities[:scan_once] # a table that grows may give some again
          expect(found.sort).to eq(100.times.select(&:even?).map { |i| ["k#{i}", i] }.sort)
          expect(told.sort).to eq(100.times.select(&:odd?).map { |i| "k#{i}" }.sort)
        end
      end
    end

    it "leaves a cursor behind the last page too (#{kind})" do
      beside(kind) do |store, raw|
        raw["bad"] = bad
        store["good"] = 1
        found = []
        error = failing { store.scan { |key, _| found << key } }
        expect(found).to eq(["good"])
        expect(store.scan(cursor: error.cursor).to_a).to eq([])
        expect(store.each_key(cursor: error.cursor).to_a + store.each_value(cursor: error.cursor).to_a).to eq([])
      end
    end

    it "may be one that a hook refuses (#{kind})" do
      ext = ->(type, data) { type == 7 ? raise(IOError, data) : type }
      in_store(kind, ext: ext) do |store|
        store.set_many("a" => Kivi::Ext.new(1, ""), "b" => Kivi::Ext.new(7, "x"), "c" => 3)
        error = failing { store.get_many("a", "b", "c") }
        expect([error.class, error.message, error.key, error.failures.keys]).to eq([IOError, "x", "b", [1]])
        expect(error.results).to eq("a" => 1, "c" => 3)
        expect(failing { store["b"] }.key).to eq("b")
      end
      in_store(kind, ext: ->(*) { throw :out, 5 }) do |store|
        store["b"] = Kivi::Ext.new(7, "x")
        expect(catch(:out) { store.get_many("b") }).to eq(5)
        expect(catch(:out) { store.scan.to_a }).to eq(5)
      end
    end

    it "has its key in a fiber (#{kind})" do
      beside(kind) do |store, raw|
        raw["bad"] = bad
        errors = []
        SmallScheduler.run { errors << failing { store["bad"] } << failing { store.get_many("bad") } }
        expect(errors.map(&:key)).to eq(%w[bad bad])
      end
    end
  end

  it "shows its key so that it hides nothing" do
    beside("lmdb") do |_, raw|
      store = Kivi.open(raw.url.sub("codec=raw", "codec=msgpack"))
      { "a\nb\e" => '"a\x0ab\x1b"', "\xFF".b => '"\xff"', "é\\" => '"é\\\\"', "x" * 70 => "\"#{'x' * 64}...\"" }.each do |key, shown|
        raw[key] = bad
        error = failing { store[key] }
        expect(error.message).to start_with("key #{shown}: ")
        expect(error.key).to eq(key)
      end
      store.close
    end
  end
end

RSpec.describe "A batch" do
  include Places

  it "that is refused names the item" do
    in_store("memory") do |store|
      error = nil
      begin
        store.set_many("a" => 1, "b\n" => Object.new)
      rescue Kivi::Unrepresentable => e
        error = e
      end
      expect([error.key, error.failures.keys]).to eq(["b\n", [1]])
      expect(error.message).to start_with('key "b\x0a": ')
      expect { store.delete_many("a", "") }.to raise_error(Kivi::Invalid) { |e| expect(e.failures.keys).to eq([1]) }
      expect(store).to be_empty
    end
  end

  it "of which some failed names their keys" do
    in_store("redis") do |store|
      store.set_many("a" => "text", "n" => 1)
      expect { store.apply([{ op: :increment, key: "n" }, { op: :increment, key: "a" }]) }
        .to raise_error(Kivi::WrongType, /\Akey "a": /) { |e|
          expect([e.key, e.failures[1].key, e.results.map(&:ok?)]).to eq(["a", "a", [true, false]])
        }
      expect { store.ttl("missing") }.to raise_error(Kivi::NotFound) { |e| expect(e.key).to eq("missing") }
      expect { store.fetch("missing") }.to raise_error(Kivi::NotFound) { |e| expect(e.key).to eq("missing") }
    end
  end

  it "names an empty key" do
    in_store do |store|
      [-> { store.set("", 1) }, -> { store.get("") }, -> { store.fetch("") }, -> { store.increment("") }, -> { store.take("") },
       -> { store.ttl("") }, -> { store.update("") { 1 } }, -> { store.fetch_or_set("") { 1 } }, -> { store.set_many("a" => 1, "" => 2) },
       -> { store.get_many("a", "") }, -> { store.delete_many("", "a") }, -> { store.apply([{ op: :set, key: "", value: 1 }]) }]
        .each { |call| expect(&call).to raise_error(Kivi::Invalid) { |e| expect(e.key).to eq("") } }
      expect { store.set("", Object.new) }.to raise_error(Kivi::Unrepresentable) { |e| expect(e.key).to eq("") }
      expect { store.set_many("" => Object.new) }.to raise_error(Kivi::Unrepresentable) { |e| expect(e.key).to eq("") }
      expect { store.page(nil, cursor: "no cursor") }.to raise_error(Kivi::Error) { |e| expect(e.key).to be_nil }
    end
  end

  it "says that the steps of a call ran out of its time" do
    Kivi.open("memory:?shape=blocking&latency=500ms") do |store|
      asked = false
      expect { store.fetch_or_set("k", timeout: 0.7) { asked = true } }.to raise_error(Kivi::Timeout)
      expect(asked).to be(false)
      expect(store.fetch_or_set("k", timeout: 60) { 1 }).to eq(1)
      expect { store.fetch_or_set("k", timeout: 0) { 1 } }.to raise_error(Kivi::Invalid)
      expect { store.fetch_or_set("k", timeout: "1") { 1 } }.to raise_error(TypeError)
    end
  end

  it "hints at what a program has" do
    expect { Kivi.open("memory:", xyzzy: 1) }
      .to raise_error(Kivi::Invalid, 'no option "xyzzy" for memory: Kivi.options("memory") lists those there are')
  end

  it "names the key of a value that it refuses" do
    in_store do |store|
      bad = Object.new
      [-> { store["k"] = bad }, -> { store.set("k", [bad]) }, -> { store.add("k", bad) }, -> { store.replace("k", bad) },
       -> { store.compare_and_set("k", bad, 1) }, -> { store.compare_and_set("k", 1, bad) }, -> { store.compare_and_delete("k", bad) },
       -> { store.update("k") { bad } }, -> { store.fetch_or_set("k") { bad } }].each do |call|
        expect(&call).to raise_error(Kivi::Unrepresentable, /\Akey "k": value/) { |error| expect(error.key).to eq("k") }
      end
      expect(store).to be_empty
    end
  end

  it "has the failures of a batch that is refused before it is sent" do
    in_store("memory", max_value: 1024) do |store|
      big = "x" * 5000
      { -> { store.get_many("a", "") } => ["", Kivi::Invalid], -> { store.delete_many("a", "") } => ["", Kivi::Invalid],
        -> { store.set_many("a" => 1, "b" => big) } => ["b", Kivi::TooLarge],
        -> { store.set_many("a" => 1, "b" => Object.new) } => ["b", Kivi::Unrepresentable],
        -> { store.apply([{ op: :set, key: "a", value: 1 }, { op: :set, key: "b", value: big }]) } => ["b", Kivi::TooLarge],
        -> { store.apply([{ op: :set, key: "a", value: 1 }, { op: :set, key: "a", value: 2 }], atomic: true) } => ["a", Kivi::Invalid],
        -> { store.apply([{ op: :set, key: "a", value: 1 }, { op: :touch, key: "b", ttl: 0 }]) } => ["b", Kivi::Invalid] }.each do |call, (key, kind)|
        expect(&call).to raise_error(kind) { |error|
          expect(error.failures.to_h { |index, failure| [index, [failure.key, failure.class]] }).to eq(1 => [key, kind])
        }
      end
      expect(store).to be_empty
    end
  end
end
