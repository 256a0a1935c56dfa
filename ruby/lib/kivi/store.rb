# frozen_string_literal: true

module Kivi
  # An open store, from {Kivi.open}. Any number of threads may use one at the same time.
  #
  # It has the manners of a Hash whose keys are Strings (a Symbol is its name) and whose values are nil, true, false, Integer,
  # Float, String, Symbol, Time, Array, Hash and {Ext}. Every call takes `timeout:`, in seconds; a `ttl:` is in seconds too:
  # nil, the key never expires; {KEEP}, the expiry that it has stays. Failures are of {Error}.
  #
  # A walk over a store reads page after page: it is no snapshot, and what is written meanwhile may or may not come.
  class Store < Core::Calls
    include Enumerable

    MISSING = Object.new.freeze
    private_constant :MISSING

    class << self
      undef_method :new
    end

    # @!group One key

    # The value of a key, or nil. `store["a"]["b"]` reads a copy: to change it, {#update} or set it.
    def [](key) = call_get(key)

    # @return [Object] the value, or `default`
    def get(key, default = nil, timeout: nil) = call_get(key, default, timeout)

    # The value; without it the block's answer, or `default`.
    # @raise [Kivi::NotFound] the key is not there (a KeyError)
    def fetch(key, default = MISSING, timeout: nil)
      value = call_get(key, MISSING, timeout)
      return value unless MISSING.equal?(value)
      return yield(key) if block_given?
      return default unless MISSING.equal?(default)

      raise NotFound.of(key, self)
    end

    # @return [Array(Object, String)] the value and its version, for `if_version:` of {#apply}; [default, nil] without
    def get_versioned(key, default = nil, timeout: nil) = call_get_versioned(key, default, timeout)

    # Writes a value; an expiry that the key had goes.
    def []=(key, value)
      call_set(key, value)
    end
    alias store []=

    # @param ttl [Numeric, KEEP, nil] seconds
    # @return [self]
    def set(key, value, ttl: nil, timeout: nil)
      call_set(key, value, ttl, timeout)
      self
    end

    # Writes only if the key is not there.
    # @return [Boolean] whether it wrote
    def add(key, value, ttl: nil, timeout: nil) = call_add(key, value, ttl, timeout)

    # Writes only if the key is there.
    # @return [Boolean] whether it wrote
    def replace(key, value, ttl: nil, timeout: nil) = call_replace(key, value, ttl, timeout)

    # Writes only if the key holds `old`: 1 and 1.0, text and bytes differ.
    # @return [Boolean] whether it wrote
    def compare_and_set(key, old, new, ttl: nil, timeout: nil) = call_compare_and_set(key, old, new, ttl, timeout)

    # @return [Boolean] whether it deleted
    def compare_and_delete(key, old, timeout: nil) = call_compare_and_delete(key, old, timeout)

    # @return [Boolean] whether the key was there. (To have its value: {#take}.)
    def delete(key, timeout: nil) = call_delete_key(key, true, timeout)

    # @return [Boolean]
    def key?(key, timeout: nil) = call_exists(key, timeout)
    alias exists? key?
    alias has_key? key?
    alias include? key?
    alias member? key?

    # Adds to an Integer, from 0 where there is none.
    # @param ttl [Numeric, nil] counts only when this call makes the key
    # @return [Integer] the sum
    def increment(key, by = 1, ttl: nil, timeout: nil) = call_increment(key, by, ttl, timeout)

    # Reads and deletes in one step: nobody else gets the same value.
    def take(key, default = nil, timeout: nil) = call_take(key, default, timeout)

    # Reads and sets the expiry in one step (nil: it never expires).
    def get_and_expire(key, ttl, default = nil, timeout: nil) = call_get_and_expire(key, ttl, default, timeout)

    # @return [Float, nil] seconds left; nil: it never expires
    # @raise [Kivi::NotFound]
    def ttl(key, timeout: nil) = call_ttl(key, timeout)

    # Lets a key expire in so many seconds.
    # @return [Boolean] whether the key was there
    def expire(key, seconds, timeout: nil) = call_expire(key, seconds, timeout)

    # Takes a key's expiry away.
    # @return [Boolean] whether the key was there
    def persist(key, timeout: nil) = call_persist(key, timeout)

    # Reads, lets the block compute, and writes if nobody else wrote meanwhile; else again, within the deadline.
    # @yieldparam value [Object] nil where the key is missing
    # @yieldreturn [Object] the new value, {DELETE} or {LEAVE}. What is raised, thrown or broken out with leaves the key alone.
    # @return [Object] what the key holds then
    def update(key, ttl: nil, timeout: nil, &block)
      raise ArgumentError, "update needs a block" unless block

      call_update(key, block, ttl, timeout)
    end

    # The value; where it is missing the block's, which is added. In one process one caller computes a key at a time, the
    # others wait for what it stored; where the block raises, all of them raise the same.
    # @param lease [Numeric, nil] seconds: one process at a time computes, the others wait for its value or for the lease to end
    # @yieldreturn [Object] the value; {LEAVE}: there is none, nothing is stored, and all who waited get nil
    def fetch_or_set(key, ttl: nil, lease: nil, timeout: nil, &block)
      raise ArgumentError, "fetch_or_set needs a block" unless block

      began = Process.clock_gettime(Process::CLOCK_MONOTONIC) if timeout
      value = call_get(key, MISSING, timeout)
      return value unless MISSING.equal?(value)

      call_get_or_set(key, block, ttl, timeout && time_left(timeout, began), lease)
    end

    # @!group Many keys

    # @return [Hash] of the keys that were found
    # @raise [Error] of the first that could not be read; all are in {Error#failures}, the others' values in {Error#results}
    def get_many(*keys, timeout: nil)
      keys = keys.first.to_a if keys.size == 1 && !keys.first.is_a?(String) && keys.first.respond_to?(:to_a)
      call_get_many(keys, keys, timeout)
    end

    # @param pairs [Hash, Array<Array(String, Object)>, nil]
    # @param more [Hash] further pairs: `set_many("a" => 1, "b" => 2)`
    # @return [self]
    # @raise [Error] of the first that failed; all are in {Error#failures}
    def set_many(pairs = nil, ttl: nil, timeout: nil, **more)
      call_set_many(pairs.to_a + more.to_a, ttl, timeout)
      self
    end

    # @return [Integer] how many were there
    def delete_many(*keys, timeout: nil)
      keys = keys.first.to_a if keys.size == 1 && !keys.first.is_a?(String) && keys.first.respond_to?(:to_a)
      call_delete_many(keys, timeout)
    end

    # Writes the pairs of Hashes; where the key is there a block decides, as Hash#merge! does.
    # @return [self]
    def merge!(*others, &block)
      others.each do |other|
        next if other.empty?
        next set_many(other) unless block

        other.each { |key, value| update(key) { |old| old.nil? && !key?(key) ? value : block.call(key, old, value) } }
      end
      self
    end

    # The general write: Hashes with `op:` (set, delete, touch, check, increment), `key:`, `value:`, `ttl:`, `by:` and at
    # most one of `if:` (absent, present), `if_equal:`, `if_version:`.
    # @param atomic [Boolean] all happen or none
    # @return [Array<Result>] in the order given
    def apply(operations, atomic: false, timeout: nil) = call_apply(operations, atomic, timeout)

    # @!group All keys under a prefix

    # The pairs, page after page. It may be left at any time.
    # A value that cannot be read hides no other: the rest of its page comes first, then it is raised, with the `cursor` that
    # goes on behind the page and the page's `failures`.
    # @param after [String, nil] only keys beyond this one, where `capabilities[:order]` is "bytes"
    # @param cursor [String, nil] of a page, or of an {Error}, behind which it goes on
    # @param limit [Integer, nil] at most so many
    # @param ttl [Boolean] yields the seconds left as well
    # @yieldparam key [String]
    # @yieldparam value [Object]
    # @return [Enumerator, self]
    def scan(prefix = nil, after: nil, cursor: nil, limit: nil, ttl: false, timeout: nil, &block)
      return enum_for(:scan, prefix, after: after, cursor: cursor, limit: limit, ttl: ttl, timeout: timeout) unless block

      walk(prefix, after, limit, false, ttl, timeout, cursor, &block)
    end

    # @yieldparam pair [Array(String, Object)]
    def each(&block)
      return enum_for(:each) unless block

      walk(nil, nil, nil, false, false, nil, &block)
    end
    alias each_pair each

    # @yieldparam key [String]
    def each_key(prefix = nil, after: nil, cursor: nil, limit: nil, timeout: nil, &block)
      return enum_for(:each_key, prefix, after: after, cursor: cursor, limit: limit, timeout: timeout) unless block

      walk(prefix, after, limit, true, false, timeout, cursor, &block)
    end

    # @yieldparam value [Object]
    def each_value(prefix = nil, cursor: nil, timeout: nil)
      return enum_for(:each_value, prefix, cursor: cursor, timeout: timeout) unless block_given?

      scan(prefix, cursor: cursor, timeout: timeout) { |_, value| yield value }
    end

    # @return [Array<String>]
    def keys(prefix = nil, timeout: nil) = each_key(prefix, timeout: timeout).to_a

    # @return [Array]
    def values(prefix = nil, timeout: nil) = each_value(prefix, timeout: timeout).to_a

    # @return [Hash]
    def to_h(prefix = nil, timeout: nil, &block) = scan(prefix, timeout: timeout).to_h(&block)

    # One page of a scan.
    # @param cursor [String, nil] of the page before
    # @param limit [Integer, nil] at most so many pairs; nil: 1,000
    # @param keys [Boolean] keys alone
    # @return [Kivi::Page]
    def page(prefix = nil, after: nil, cursor: nil, limit: nil, keys: false, ttl: false, timeout: nil)
      call_page(prefix, after, cursor, limit, keys, ttl, timeout)
    end

    # How many keys begin so; with a block, for how many pairs it is true. Most stores walk them.
    def count(prefix = nil, timeout: nil, &block) = block ? super(&block) : call_count(prefix, timeout)

    def size = call_count(nil)
    alias length size

    # Whether there is no key.
    def empty? = each_key(limit: 1).none?

    # Deletes every key that begins so.
    # @param all [Boolean] needed for no prefix on a keyspace shared with others
    # @return [Integer] how many
    def clear(prefix = nil, all: false, timeout: nil) = call_clear(prefix, all, timeout)

    # @!group About the store

    # Asks the store one small question. @return [Hash] ok, latency_ns, detail
    def health(timeout: nil) = call_health(timeout)

    # What the store promises. @return [Hash]
    def capabilities = call_capabilities

    # Counters since it was opened. @return [Hash]
    def stats = call_stats

    # @return [String] without secrets
    def url = text_of(call_url)

    # @return [String] "redis"
    def scheme = text_of(call_scheme)

    # @return [String] "msgpack"
    def codec = text_of(call_codec)

    # Ends the work: calls in progress, in any thread, and later ones raise {Closed}. As often as you like.
    def close
      @closed = true
      call_close
      call_tell
      nil
    end

    def closed? = @closed

    def inspect = "#<Kivi::Store #{url}#{' (closed)' if closed?}>"
    alias to_s inspect

    # @!endgroup

    # @private
    def initialize_copy(_other)
      raise TypeError, "a Kivi::Store is one open store and cannot be copied; threads may share it"
    end

    # @private
    def marshal_dump = raise(TypeError, "a Kivi::Store cannot be dumped; open its URL where it is needed")

    def freeze = raise(TypeError, "a Kivi::Store cannot be frozen")

    private

    def start(url, options)
      @closed = false
      hooks = options.values_at(:default, :ext, :on_event)
      %w[default ext on_event].zip(hooks) do |name, hook|
        raise TypeError, "#{name}: is a Proc, not #{hook.class}" unless hook.nil? || hook.respond_to?(:call)
      end
      own = %i[default ext pairs symbolize_names on_event]
      open = -> { call_open(url, options.except(*own), *options.values_at(*own)) }
      Fiber.current_scheduler ? Thread.new(&open).value : open.call
      self
    end

    # What is left of the time of a call that makes another step.
    def time_left(timeout, began)
      left = timeout.to_f - (Process.clock_gettime(Process::CLOCK_MONOTONIC) - began)
      raise Timeout, "the time of the call is over" unless left.positive?

      left
    end

    def walk(prefix, after, limit, keys, ttl, timeout, cursor = nil, &block)
      until limit&.zero?
        page = page_of_walk(prefix, after, cursor, limit && [limit, 1000].min, keys, ttl, timeout)
        page.each(&block)
        limit -= page.size if limit
        cursor = page.cursor
        break unless cursor

        after = nil
      end
      self
    end

    # One that fails says where to go on.
    def page_of_walk(prefix, after, cursor, *how)
      call_page(prefix, after, cursor, *how)
    rescue Error => e
      e.instance_variable_set(:@cursor, cursor)
      raise
    end

    def text_of(text) = text.dup.force_encoding(Encoding::UTF_8)
  end
end
