# frozen_string_literal: true

require "spec_helper"

# The cases of tests/conformance through Ruby's API, on the same rows.
RSpec.describe "conformance" do
  table = File.readlines(File.expand_path("../../tests/conformance/rows.txt", __dir__))
  rows = table.map(&:split).reject { |name, *rest| name.nil? || name.start_with?("#") || rest.include?("queue") }
              .to_h { |name, url| [name, url] } # the trait `queue` is the C suite's
  ENV.each { |name, url| rows[name.delete_prefix("KIVI_TEST_").downcase.tr("_", "-")] = url if name.start_with?("KIVI_TEST_") }
  raise "only #{rows.size} rows were found" if rows.size < 30

  def self.sure(name, needs: nil, &block)
    it(name) do
      if needs && @store.capabilities.fetch(needs) == "absent"
        expect { instance_exec(&block) }.to raise_error(Kivi::Unsupported)
      else
        instance_exec(&block)
      end
    end
  end

  rows.each do |row, template|
    context "on #{row}" do
      before do
        folder = "#{Places.folder}/#{row}-#{Places.number}"
        FileUtils.mkdir_p("#{folder}/folder")
        @url = template.gsub("{name}", "ruby-#{row}-#{Places.number}").gsub("{dir}", folder)
        @store = Kivi.open(@url)
        @prefix = "ruby-#{Process.pid}-#{Places.number}/"
      end

      after do
        @store.clear(@prefix) unless @store.capabilities[:scan] == "absent"
        @store.close
      end

      def k(name) = "#{@prefix}#{name}"
      def s = @store
      def scans? = s.capabilities[:scan] != "absent"
      def ordered? = s.capabilities[:order] == "bytes"

      sure "single keys" do
        expect([s[k("k")], s.key?(k("k")), s.delete(k("k")), s.take(k("k"))]).to eq([nil, false, false, nil])
        s[k("k")] = "one"
        s[k("k")] = "two"
        expect([s[k("k")], s.key?(k("k")), s.delete(k("k")), s[k("k")]]).to eq(["two", true, true, nil])
      end

      sure "keys of every byte" do
        names = (0..255).map { |byte| "#{k('x')}#{byte.chr}y".b }
        s.set_many(names.zip(0..))
        expect(s.get_many(names).transform_keys(&:b)).to eq(names.zip(0..).to_h)
        expect(s.keys(@prefix).map(&:b).sort).to eq(names.sort) if scans?
        expect(s.count(k("x"))).to eq(256) if scans?
        expect(s.delete_many(names)).to eq(256)
      end

      sure "prefixes are bytes", needs: :scan do
        %w[a aa ab b A a% a* a/ a:].each { |name| s[k(name)] = name }
        %w[a A a% a* aa a/].each { |prefix| expect(s.keys(k(prefix)).size).to eq(%w[a aa ab b A a% a* a/ a:].count { |n| n.start_with?(prefix) }) }
        expect(s.clear(k("a"))).to eq(7)
        expect(s.to_h(@prefix)).to eq(k("b") => "b", k("A") => "A")
      end

      sure "conditions" do
        expect([s.replace(k("k"), 1), s.add(k("k"), 2), s.add(k("k"), 3), s.replace(k("k"), 4), s[k("k")]]).to eq([false, true, false, true, 4])
        expect([s.compare_and_set(k("k"), 1, 2), s.compare_and_set(k("k"), 4, { "a" => 1, "b" => 2 }),
                s.compare_and_set(k("k"), { "b" => 2, "a" => 1 }, 5), s.compare_and_set(k("none"), nil, 1)]).to eq([false, true, true, false])
        expect([s.compare_and_delete(k("k"), 6), s.compare_and_delete(k("k"), 5), s.compare_and_delete(k("k"), 5)]).to eq([false, true, false])
      end

      sure "versions" do
        s[k("k")] = 1
        _, first = s.get_versioned(k("k"))
        s[k("k")] = 2
        value, second = s.get_versioned(k("k"))
        expect(value).to eq(2)
        results = s.apply([{ op: :set, key: k("k"), value: 3, if_version: first }]) + s.apply([{ op: :set, key: k("k"), value: 4, if_version: second }])
        expect(results.map(&:status)).to eq(%w[CONDITION OK])
        expect(s[k("k")]).to eq(4)
      end

      sure "increments" do
        expect([s.increment(k("n")), s.increment(k("n"), 99), s.increment(k("n"), -200)]).to eq([1, 100, -100])
        s[k("n")] = 2**63 - 2
        expect(s.increment(k("n"))).to eq(2**63 - 1)
        expect { s.increment(k("n")) }.to raise_error(Kivi::Overflow)
        s[k("t")] = "seven"
        expect { s.increment(k("t")) }.to raise_error(Kivi::WrongType)
        expect(s.get_many(k("n"), k("t"))).to eq(k("n") => 2**63 - 1, k("t") => "seven")
        Array.new(4) { Thread.new { 10.times { s.increment(k("c")) } } }.each(&:join)
        expect(s[k("c")]).to eq(40)
      end

      sure "batches" do
        s.set_many([[k("a"), 1], [k("b"), 2], [k("a"), 3]])
        expect(s.get_many(k("a"), k("none"), k("b"), k("a"))).to eq(k("a") => 3, k("b") => 2)
        results = s.apply([{ op: :set, key: k("c"), value: 1, if: :absent }, { op: :delete, key: k("c") },
                           { op: :delete, key: k("c") }, { op: :increment, key: k("d"), by: 5 }, { op: :increment, key: k("d") }])
        expect(results.map { |r| [r.status, r.existed?, r.integer] })
          .to eq([["OK", false, 0], ["OK", true, 0], ["OK", false, 0], ["OK", false, 5], ["OK", false, 6]])
        expect(s.delete_many(k("a"), k("b"), k("none"))).to eq(2)
        expect([s.get_many([]), s.get_many, s.set_many({}), s.delete_many([]), s.apply([])]).to eq([{}, {}, s, 0, []])
        expect { s.set_many("" => 1) }.to raise_error(Kivi::Invalid)
      end

      sure "atomic batches" do
        a, b = k("{tag}a"), k("{tag}b") # Redis Cluster has them in one slot
        s[a] = 1
        both = [{ op: :set, key: a, value: 2, if_equal: 1 }, { op: :set, key: b, value: 2, if: :absent }]
        if s.capabilities[:atomic_max].zero?
          expect { s.apply(both, atomic: true) }.to raise_error(Kivi::Unsupported)
        else
          expect(s.apply(both, atomic: true).map(&:status)).to eq(%w[OK OK])
          expect(s.apply(both.reverse, atomic: true).map(&:status)).to satisfy { |all| all.include?("CONDITION") && !all.include?("OK") }
          expect { s.apply([{ op: :delete, key: a }] * 2, atomic: true) }.to raise_error(Kivi::Invalid)
          expect(s.get_many(a, b)).to eq(a => 2, b => 2)
        end
      end

      sure "scans in pages", needs: :scan do
        names = (0...57).map { |i| k(format("s/%02d", i)) }
        s.set_many(names.zip(0..))
        [1, 2, 10, 57, 1000].each do |limit|
          seen = {}
          cursor = nil
          loop do
            page = s.page(k("s/"), limit: limit, cursor: cursor)
            expect(page.size).to be <= limit
            page.each { |key, value| seen[key] = value }
            break unless (cursor = page.cursor)
          end
          expect(seen).to eq(names.zip(0..).to_h)
        end
        expect(s.keys(k("s/"))).to eq(names) if ordered?
        after = -> { s.each_key(k("s/"), after: names[49]).to_a }
        ordered? ? expect(after.call).to(eq(names[50..])) : expect(&after).to(raise_error(Kivi::Unsupported))
        page = s.page(k("s/"), limit: 5)
        expect { s.page(k("other/"), cursor: page.cursor, limit: 5) }.to raise_error(Kivi::Invalid)
        seen = page.map(&:first)
        Kivi.open(@url) do |other|
          while page.cursor
            page = other.page(k("s/"), cursor: page.cursor, limit: 50)
            seen.concat(page.map(&:first))
          end
        end
        expect(seen.uniq.sort).to eq(names)
      end

      sure "expiry" do
        most = 60.2 + (s.capabilities[:ttl_resolution_ms] / 1000.0)
        s.set(k("a"), 1, ttl: 60)
        expect(s.ttl(k("a"))).to be_between(55, most)
        s.set(k("a"), 2, ttl: Kivi::KEEP)
        expect(s.ttl(k("a"))).to be_between(55, most)
        s[k("a")] = 3
        expect(s.ttl(k("a"))).to be_nil
        expect([s.expire(k("a"), 30), s.persist(k("a")), s.expire(k("none"), 1)]).to eq([true, true, false])
        s.set(k("b"), 1, ttl: 0.02)
        s.increment(k("c"), ttl: 0.02)
        sleep(0.02 + (s.capabilities[:ttl_resolution_ms] + 15) / 1000.0)
        expect([s.count(@prefix), s.keys(@prefix)]).to eq([1, [k("a")]]) if scans?
        expect([s[k("b")], s.key?(k("c")), s.add(k("b"), 2)]).to eq([nil, false, true])
        expect { s.set(k("a"), 1, ttl: 101 * 366 * 86_400) }.to raise_error(Kivi::Invalid)
      end

      sure "limits" do
        expect { s[k("a" * s.capabilities[:max_key_plain])] = 1 }.to raise_error(Kivi::TooLarge)
        expect { s[""] }.to raise_error(Kivi::Invalid)
        longest = k("a" * [s.capabilities[:max_key_plain] - @prefix.bytesize, 1000].min)
        s[longest] = 1
        expect(s[longest]).to eq(1)
        expect(s.keys(@prefix)).to eq([longest]) if scans?
      end

      sure "updates" do
        Array.new(3) { Thread.new { 5.times { s.update(k("u")) { |value| (value || []) + [1] } } } }.each(&:join)
        expect(s[k("u")]).to eq([1] * 15)
        other = s
        tries = 0
        expect(s.update(k("u")) { |value| (tries += 1) == 1 ? (other[k("u")] = "meanwhile") && 0 : value }).to eq("meanwhile")
        expect(tries).to eq(2)
        expect(Array.new(3) { Thread.new { s.fetch_or_set(k("f")) { rand } } }.map(&:value).uniq.size).to eq(1)
      end

      sure "values" do
        [nil, true, 0, -1, 2**63, 1.5, "", "t\u00e9xt", [1, [2]], { "a" => { "b" => [] } }, "x" * 5000].each do |value|
          s[k("v")] = value
          expect(s[k("v")]).to eql(value)
        end
      end

      sure "once closed" do
        other = Kivi.open(@url)
        other.close
        [-> { other["a"] }, -> { other["a"] = 1 }, -> { other.count("a") }, -> { other.scan("a").first }, -> { other.health },
         -> { other.update("a") { 1 } }, -> { other.get_many("a") }].each { |call| expect(&call).to raise_error(Kivi::Closed) }
      end
    end
  end
end
