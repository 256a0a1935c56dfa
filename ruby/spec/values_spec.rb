# frozen_string_literal: true

require "spec_helper"

RSpec.describe "values" do
  %w[memory lmdb redis].each do |kind|
    context "on #{kind}" do
      around { |example| in_store(kind) { |store| (@store = store) && example.run } }

      def back(value)
        @store["v"] = value
        @store["v"]
      end

      it "come back as they were" do
        [nil, true, false, 0, 1, -1, 127, 128, 255, 256, 65_535, 65_536, 2**31, 2**32, 2**53 + 1, 2**62, 2**63 - 1, 2**63,
         2**64 - 1, -32, -33, -128, -129, -32_769, -2**31, -2**62 - 1, -2**63, 0.0, 1.5, -1e300, 5e-324, Float::INFINITY,
         -Float::INFINITY, "", "text", "z\u00fcrich \u{1F600}", "a" * 300, "a\0b", [], [[]], [1, [2, [nil]]], {}, { "a" => {} },
         { 1 => 2, nil => 3, true => 4, 1.5 => 5, [1] => 6, { 2 => 3 } => 7, "b".b + "\xff".b => 8 },
         { 1 => :int, 1.0 => :float }.transform_values(&:to_s), (0...1000).to_a].each do |value|
          expect(back(value)).to eql(value)
        end
      end

      it "keep what == does not tell" do
        expect(1 / back(-0.0)).to eq(-Float::INFINITY)
        expect(back(Float::NAN)).to be_nan
        expect(back(1.0)).to be_a(Float)
        expect(back("z\u00fcrich")).to have_attributes(encoding: Encoding::UTF_8, frozen?: false)
        expect(back("z\u00fcrich".b)).to have_attributes(encoding: Encoding::BINARY, frozen?: false)
        expect(back({ "a" => 1 }).keys.first).to be_frozen
      end

      it "of other encodings are text, and what is no text is bytes" do
        expect(back("z\u00fcrich".encode("ISO-8859-1"))).to eql("z\u00fcrich")
        expect(back("z\u00fcrich".encode("UTF-16LE"))).to eql("z\u00fcrich")
        expect(back("plain".encode("US-ASCII")).encoding).to eq(Encoding::UTF_8)
        expect(back("\xff")).to eql("\xff".b)
        expect(back("\xff".dup.force_encoding("US-ASCII"))).to eql("\xff".b)
      end

      it "may be Symbols, which come back as text" do
        expect(back(:name)).to eq("name")
        expect(back({ a: { b: :c } })).to eq("a" => { "b" => "c" })
      end

      it "may be Times, exact to the nanosecond" do
        [Time.at(0, 1, :nsec), Time.at(1_700_000_000, 123_456_789, :nsec), Time.at(-1, 999_999_999, :nsec), Time.at(2**34),
         Time.at(-2**40), Time.utc(1, 1, 1), Time.utc(9999, 12, 31, 23, 59, 59), Time.new(2024, 2, 29, 12, 0, 0, "+09:00")]
          .each do |time|
          got = back(time)
          expect([got, got.nsec, got.utc?]).to eq([time, time.nsec, true])
        end
        expect(back(Time.at(0, 1.5r, :nsec)).nsec).to eq(1)
      end

      it "may be extension values" do
        ext = Kivi::Ext.new(5, "\x00\xff".b)
        expect(back(ext)).to eql(ext)
        expect(back([ext, { ext => 1 }])).to eql([ext, { ext => 1 }])
        expect(ext).to have_attributes(type: 5, data: "\x00\xff".b, frozen?: true)
        expect(ext.hash).to eq(Kivi::Ext.new(5, "\x00\xff".b).hash)
        expect(ext).not_to eq(Kivi::Ext.new(6, "\x00\xff".b))
        expect { Kivi::Ext.new(-1, "") }.to raise_error(ArgumentError)
        expect { Kivi::Ext.new(128, "") }.to raise_error(ArgumentError)
        expect { Kivi::Ext.new("5", "") }.to raise_error(TypeError)
      end

      it "may be large" do
        [65_535, 65_536, 65_537, 1 << 20].each { |size| expect(back("x" * size)).to eql("x" * size) }
        expect(back("\xfe".b * 300_000)).to eql("\xfe".b * 300_000)
        expect(back(Array.new(70_000) { |i| i })).to eq((0...70_000).to_a)
      end

      it "have keys of any bytes" do
        ["a", "z\u00fc", "\xff\x00".b, " ", "*", "%41", "a" * 100].each_with_index do |key, index|
          @store[key] = index
          expect(@store[key]).to eq(index)
        end
        expect(@store["z\u00fc".b]).to eq(1)
        expect(@store.keys).to include("z\u00fc", "\xff\x00".b, "%41")
        expect(@store.keys.map(&:encoding).uniq).to contain_exactly(Encoding::UTF_8, Encoding::BINARY)
        expect { @store[""] }.to raise_error(Kivi::Invalid)
        expect { @store[1] }.to raise_error(TypeError, "a key is a String or Symbol, not Integer")
        expect { @store[nil] = 1 }.to raise_error(TypeError)
        expect { @store["a" * 2_000_000_0] = 1 }.to raise_error(Kivi::TooLarge)
      end
    end
  end

  context "that cannot be stored" do
    around { |example| in_store { |store| (@store = store) && example.run } }

    def refuse(value, message)
      @store["v"] = "before"
      message = "key \"v\": #{message}" if message.is_a?(String)
      expect { @store["v"] = value }.to raise_error(Kivi::Unrepresentable, message)
      expect(@store["v"]).to eq("before")
    end

    it "are refused with their path" do
      refuse(Object.new, "value: an instance of Object cannot be stored")
      refuse({ "users" => [1, 2, 3, { id: 1i }] }, "value.users[3].id: an instance of Complex cannot be stored")
      refuse([[{ 1 => { "two words" => [2**64] } }]],
             'value[0][0]["1"]["two words"][0]: an Integer beyond 64 bits cannot be stored')
      refuse(-2**63 - 1, /beyond 64 bits/)
      refuse(-2**64, /beyond 64 bits/)
      refuse({ 1r => 2 }, /Rational/)
      refuse(1..2, /Range/)
      refuse(Struct.new(:a).new(1), /cannot be stored/)
      refuse({ "\u009b\u202e" => 2**70 }, 'value["\\xc2\\x9b\\xe2\\x80\\xae"]: an Integer beyond 64 bits cannot be stored')
      refuse(["\x81".dup.force_encoding("Windows-1252")], "value[0]: a String in Windows-1252 that has no form in UTF-8 cannot be stored")
    end

    it "are refused where a Hash has one stored key twice" do
      refuse({ a: 1, "a" => 2 }, "value.a: this key is there twice")
      refuse({ "x" => { ["b"] => 1, [:b] => 2 } }, /twice/)
      refuse({ "\u00fc" => 1, "\u00fc".encode("ISO-8859-1") => 2 }, /twice/)
      refuse({ Float::NAN => 1, -(0.0 / 0.0) * -1 => 2, (Float::NAN + 1) => 3 }, /twice/)
      identity = {}.compare_by_identity
      identity["k".dup] = 1
      identity["k".dup] = 2
      refuse(identity, /twice/)
      @store["v"] = { a: 1, "b" => 2, 3 => 4 }
      expect(@store["v"]).to eq("a" => 1, "b" => 2, 3 => 4)
    end

    it "are refused where they hold themselves, or are too deep" do
      array = []
      refuse(array << array, /holds itself/)
      hash = {}
      refuse(hash.merge!("a" => [hash]), /holds itself/)
      refuse(200.times.reduce(1) { |inner, _| [inner] }, /deeper than 128/)
      deep = 128.times.reduce(1) { |inner, _| [inner] }
      @store["v"] = deep
      expect(@store["v"]).to eq(deep)
    end
  end

  it "that Ruby cannot hold stay as they are" do
    in_store("lmdb", codec: "json") do |store|
      raw = Kivi.open(store.url.sub("codec=json", ""), codec: "raw")
      raw["v"] = '{"a": 1, "b": {"x": 1, "x": 2}}'
      expect { store["v"] }.to raise_error(Kivi::Unrepresentable, /value\.b\.x/)
      raw["w"] = "{"
      expect { store["w"] }.to raise_error(Kivi::Corrupt)
      expect(raw["v"]).to eql('{"a": 1, "b": {"x": 1, "x": 2}}'.b)
      raw.close
    end
  end

  it "of other classes go through the hook" do
    in_store("memory", default: ->(object) { object.is_a?(Rational) ? object.to_s : raise(IOError, "no #{object.class}") }) do |store|
      store["v"] = { 1r => [2r] }
      expect(store["v"]).to eq("1/1" => ["2/1"])
      expect { store["v"] = Object.new }.to raise_error(IOError, "no Object")
      expect(store["v"]).to eq("1/1" => ["2/1"])
    end
    in_store("memory", default: ->(object) { object }) do |store|
      expect { store["v"] = Object.new }.to raise_error(Kivi::Unrepresentable, /deeper|itself/)
    end
  end

  it "of extensions go through the hook" do
    %w[memory redis].each do |kind|
      in_store(kind, ext: ->(type, data) { type == 1 ? data.unpack("n*") : raise(IOError, "type #{type}") }) do |store|
        store["v"] = [Kivi::Ext.new(1, "\0\1\0\2")]
        expect(store["v"]).to eq([[1, 2]])
        store["w"] = Kivi::Ext.new(2, "")
        expect { store["w"] }.to raise_error(IOError, "type 2")
        expect(store.scan("v").to_a).to eq([["v", [[1, 2]]]])
      end
    end
  end

  it "may be read inside a hook of the same store" do
    store = nil
    hook = ->(object) { store["inner"] = [object.to_s]; store["inner"] }
    in_store("lmdb", default: hook) do |opened|
      store = opened
      store["v"] = [1r, 2r]
      expect(store["v"]).to eq([["1/1"], ["2/1"]])
    end
  end

  it "of maps may be read as pairs, and written so" do
    in_store("memory", pairs: true) do |store|
      store["v"] = Kivi::Pairs.new([["a", 1], [Kivi::Pairs.new([[1, 2]]), 3]])
      expect(store["v"]).to be_a(Kivi::Pairs)
      expect(store["v"]).to eq([["a", 1], [[[1, 2]], 3]])
      expect { store["v"] = Kivi::Pairs.new([["a", 1], ["a", 2]]) }.to raise_error(Kivi::Unrepresentable, /twice/)
      expect { store["v"] = Kivi::Pairs.new([1]) }.to raise_error(Kivi::Unrepresentable)
    end
  end

  it "may have Symbols for names" do
    in_store("memory", symbolize_names: true) do |store|
      store["v"] = { a: { "b" => :c }, 1 => 2 }
      expect(store["v"]).to eq(a: { b: "c" }, 1 => 2)
    end
  end

  it "are those that msgpack reads and writes" do
    require "msgpack"
    in_store("lmdb") do |store|
      raw = Kivi.open(store.url, codec: "raw")
      value = { "a" => [1, -1, 2.5, nil, true, "t", "\xff".b], "z" => { "n" => 2**64 - 1 } }
      store["v"] = value
      expect(MessagePack.unpack(raw["v"])).to eq(value)
      raw["w"] = value.to_msgpack
      expect(store["w"]).to eq(value)
      raw.close
    end
  end

  it "have conditions by their types" do
    in_store do |store|
      store["v"] = { "a" => 1, "b" => 2 }
      expect(store.compare_and_set("v", { "b" => 2, "a" => 1 }, 1)).to be(true)
      expect(store.compare_and_set("v", 1.0, 2)).to be(false)
      store["v"] = "t"
      expect(store.compare_and_set("v", "t".b, 2)).to be(false)
    end
  end

  it "does not mind a container that changes while it is stored" do
    array = nil
    in_store("memory", default: ->(_) { array.clear && 1 }) do |store|
      array = [1r, 2, 3]
      expect { store["v"] = array }.to raise_error(RuntimeError, /changed/)
      hash = {}
      hash[1] = 1
      expect(store["v"]).to be_nil
    end
  end
end
