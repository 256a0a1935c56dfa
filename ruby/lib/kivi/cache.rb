# frozen_string_literal: true

require "active_support"
require "active_support/cache"
require "active_support/core_ext/marshal" # loads classes of entries
require "active_support/digest"
require "kivi"
require "kivi/counters"

module Kivi
  # Caches of frameworks. `require "kivi/cache"`.
  module Cache
    # ActiveSupport's cache in any store, as in Rails:
    #
    #   config.cache_store = Kivi::Cache::Store.new("redis://localhost/0", namespace: "app", expires_in: 1.day)
    #
    # Entries go when they expire. A store that cannot be reached is a miss, and is logged. `clear` deletes the namespace.
    class Store < ActiveSupport::Cache::Store
      prepend ActiveSupport::Cache::Strategy::LocalCache

      OWN = %i[namespace compress compress_threshold expires_in race_condition_ttl coder skip_nil raw].freeze
      MISTAKES = [Invalid, Unsupported, Closed, Forked, WrongType, Overflow].freeze
      private_constant :OWN, :MISTAKES

      def self.supports_cache_versioning? = true

      # @param store [Kivi::Store, String] a store, or the URL of one
      # @param options [Hash] ActiveSupport's own; others are options of {Kivi.open}
      def initialize(store, **options)
        super(options.slice(*OWN))
        @store = store.is_a?(String) ? Kivi.open(store, **options.except(*OWN)) : store
        @longest_key = @store.capabilities[:max_key]
      end

      # Counts on what was written with `raw: true`. @return [Integer, nil] nil: the store cannot be reached
      def increment(name, amount = 1, options = nil)
        options = merged_options(options)
        instrument(:increment, name, amount: amount) { count(name, amount, options) }
      end

      def decrement(name, amount = 1, options = nil)
        options = merged_options(options)
        instrument(:decrement, name, amount: amount) { count(name, -amount, options) }
      end

      # @param matcher [Regexp, String] of keys within the namespace; a String is a pattern of the shell, "users/*"
      def delete_matched(matcher, options = nil)
        options = merged_options(options)
        instrument(:delete_matched, matcher.inspect) do
          pattern = matcher.is_a?(String) ? namespace_key(matcher, options) : key_matcher(matcher, options)
          matches = matcher.is_a?(String) ? ->(key) { File.fnmatch?(pattern, key) } : pattern.method(:match?)
          guarded(nil) do
            @store.each_key(prefix(options)).select(&matches).each_slice(1000) { |keys| @store.delete_many(keys) }
          end
        end
      end

      def clear(options = nil) = guarded(nil) { @store.clear(prefix(merged_options(options))) }

      # What is expired is gone already.
      def cleanup(_options = nil) = nil

      def stats = @store.stats

      private

      def guarded(otherwise)
        yield
      rescue *MISTAKES
        raise
      rescue Error => e
        logger&.error("Kivi::Cache::Store: #{e.class}: #{e.message}")
        otherwise
      end

      def prefix(options) = namespace_key("", options).presence

      def count(name, amount, options)
        guarded(nil) { @store.increment(normalize_key(name, options), amount, ttl: lifetime(**options)) }
      end

      # Seconds in the store; those that may be stale for a while stay for it.
      def lifetime(expires_in: nil, race_condition_ttl: nil, raw: false, **)
        seconds = expires_in.to_f
        seconds += 300 if seconds.positive? && race_condition_ttl && !raw
        seconds if seconds.positive?
      end

      def pack(entry, raw: false, **) = raw ? Counters.pack(entry.value.to_s) : serialize_entry(entry)

      def unpack(value, raw: false, **)
        return if value.nil?
        return deserialize_entry(value) unless raw || value.is_a?(Integer)

        ActiveSupport::Cache::Entry.new(raw ? Counters.unpack(value) : value, compress: false)
      end

      def read_entry(key, **options) = guarded(nil) { unpack(@store[key], **options) }

      def write_entry(key, entry, **options)
        write = options[:unless_exist] ? :add : :set
        guarded(false) { @store.public_send(write, key, pack(entry, **options), ttl: lifetime(**options)) && true }
      end

      def read_multi_entries(names, **options)
        keys = names.to_h { |name| [name, normalize_key(name, options)] }
        found = guarded({}) { @store.get_many(keys.values.uniq) }
        keys.each_with_object({}) do |(name, key), values|
          entry = unpack(found[key], **options)
          values[name] = entry.value unless entry.nil? || entry.expired? || entry.mismatched?(normalize_version(name, options))
        end
      end

      # One by one where a request's own cache has to learn of each.
      def write_multi_entries(entries, **options)
        return super if local_cache

        pairs = entries.transform_values { |entry| pack(entry, **options) }
        guarded(false) { @store.set_many(pairs.to_a, ttl: lifetime(**options)) && true }
      end

      def delete_entry(key, **_options) = guarded(false) { @store.delete(key) }

      def delete_multi_entries(keys, **_options) = local_cache ? super : guarded(0) { @store.delete_many(keys) }

      # One that the store cannot hold is told from others by a digest.
      def normalize_key(name, options = nil)
        key = super
        return key if key.nil? || key.bytesize <= @longest_key

        digest = ":#{ActiveSupport::Digest.hexdigest(key)}"
        key.byteslice(0, @longest_key - digest.bytesize).scrub("") + digest
      end
    end
  end
end
