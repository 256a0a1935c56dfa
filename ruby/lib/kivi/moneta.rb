# frozen_string_literal: true

require "moneta"
require "kivi"
require "kivi/counters"

module Moneta
  module Adapters
    # Moneta over any store of libkivi. `require "kivi/moneta"`, then:
    #
    #   Moneta.new(:Kivi, url: "lmdb:data.mdb", expires: 3600)
    #
    # Options besides `expires:` and `backend:` (an open {::Kivi::Store}) are those of {::Kivi.open}.
    class Kivi < Adapter
      include ExpiresSupport

      supports :create, :increment, :each_key

      backend { |url: nil, **options| ::Kivi.open(url, **options) if url }

      # @raise [Kivi::Error] as of every method, where the store fails
      def key?(key, options = {})
        case expires = expires_value(options, nil)
        when nil then @backend.key?(key)
        when false then @backend.persist(key)
        else @backend.expire(key, expires)
        end
      end

      def load(key, options = {})
        expires = expires_value(options, nil)
        unpack(expires.nil? ? @backend[key] : @backend.get_and_expire(key, expires || nil))
      end

      def store(key, value, options = {})
        @backend.set(key, pack(value), ttl: seconds(options))
        value
      end

      def create(key, value, options = {}) = @backend.add(key, pack(value), ttl: seconds(options))

      def delete(key, _options = {}) = unpack(@backend.take(key))

      def increment(key, amount = 1, options = {})
        sum = @backend.increment(key, amount, ttl: seconds(options))
        key?(key, options) if options.key?(:expires)
        sum
      end

      def clear(_options = {})
        @backend.clear
        self
      end

      def each_key(&block)
        return enum_for(:each_key) { @backend.size } unless block

        @backend.each_key(&block)
        self
      end

      def values_at(*keys, **options)
        return super if options.key?(:expires)

        found = @backend.get_many(keys.uniq)
        keys.map { |key| unpack(found[key]) }
      end

      def merge!(pairs, options = {})
        return super if block_given?

        @backend.set_many(pairs.to_a.map { |key, value| [key, pack(value)] }, ttl: seconds(options))
        self
      end

      def close
        @backend.close
        nil
      end

      private

      def seconds(options) = expires_value(options) || nil

      def pack(value) = ::Kivi::Counters.pack(value)

      def unpack(value) = ::Kivi::Counters.unpack(value)
    end
  end
end
