# frozen_string_literal: true

# ActiveSupport's own shared behaviours of cache stores (KIVI_BEHAVIORS, of its sources), over each kind of store. Prints TAP.
require "logger"
require "active_support"
require "active_support/test_case"
require "active_support/testing/method_call_assertions"
require "active_support/testing/autorun"
require "kivi/cache"
require ENV.fetch("KIVI_BEHAVIORS")
require_relative "support"

class TapReporter < Minitest::AbstractReporter
  def record(result)
    name = "#{result.klass}: #{result.name.delete_prefix('test_').tr('_', ' ')}"
    return puts("ok - #{name}") if result.passed? || result.skipped?

    puts(result.failures.map { |failure| "#{failure.message}\n#{failure.backtrace.first(8).join("\n")}".gsub(/^/, "# ") })
    puts "not ok - #{name}"
  end
end
Minitest.extensions.clear
Minitest.singleton_class.define_method(:plugin_tap_init) { |_| Minitest.reporter.reporters.replace([TapReporter.new, Minitest::StatisticsReporter.new]) }
Minitest.extensions << "tap"

Adapters::KINDS.each do |kind, url|
  test = Class.new(ActiveSupport::TestCase) do
    include ActiveSupport::Testing::MethodCallAssertions
    include CacheStoreBehavior
    include CacheStoreVersionBehavior
    include CacheStoreCoderBehavior
    include CacheDeleteMatchedBehavior
    include CacheIncrementDecrementBehavior
    include CacheInstrumentationBehavior
    include EncodedKeyCacheBehavior
    include LocalCacheBehavior
    include AutoloadingCacheBehavior
    include FailureSafetyBehavior

    define_method(:store_url) { @store_url ||= url.call }

    def lookup_store(options = {}) = Kivi::Cache::Store.new(shared, namespace: @namespace, **options)

    # Caches of one test share a store, as they share a server.
    def shared = @shared ||= Kivi.open(store_url)

    def setup
      @namespace = "test-#{SecureRandom.hex(4)}"
      @cache = lookup_store(expires_in: 60)
      @peek = lookup_store
    end

    def teardown = @shared&.close

    def emulating_unavailability
      yield Kivi::Cache::Store.new(Adapters::NOBODY)
    end
  end
  Object.const_set("#{kind.capitalize}CacheTest", test)
end
