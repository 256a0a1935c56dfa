# frozen_string_literal: true

# A Hash in any store: LMDB, memory, Redis, one API for all.
#
#   require "kivi"
#
#   Kivi.open("lmdb:data.mdb") do |store|
#     store["greeting"] = { "text" => "hello", "times" => 3 }
#     store["greeting"]["text"]
#   end
module Kivi
end

require "kivi/errors"
require "kivi/values"
require "kivi/loop"
require "kivi/core"
require "kivi/store"

module Kivi
  VERSION = Core::VERSION
  private_constant :Core, :Loop

  # The options of {open} that are not the store's own.
  OWN_OPTIONS = { default: nil, ext: nil, pairs: false, symbolize_names: false, on_event: nil }.freeze
  private_constant :OWN_OPTIONS

  class << self
    # Opens a store by URL: "lmdb:data.mdb", "memory:", "redis://host:6379/0?timeout=2".
    #
    # @param url [String]
    # @param options [Hash] as in the URL's query, and they win; {Kivi.options} lists them. Durations are in seconds. Besides:
    # @option options [#call] :default given an object that cannot be stored, answers one that can
    # @option options [#call] :ext makes an object of an extension value's type and data; else it is a {Kivi::Ext}
    # @option options [Boolean] :pairs maps are read as {Kivi::Pairs}, arrays of [key, value], and not as Hash
    # @option options [Boolean] :symbolize_names text keys of maps are read as Symbols
    # @option options [#call] :on_event told what happens, a {Kivi::Event} each time: at the end of a call, on the thread that
    #   called. What it raises is a warning. Of calls that it makes itself it is not told
    # @yieldparam store [Kivi::Store] closed when the block ends
    # @return [Kivi::Store, Object] the store, or what the block answers
    # @raise [Kivi::Invalid] unknown scheme or option, a bad value
    # @raise [Kivi::Unsupported] the plugin cannot be loaded
    def open(url, **options)
      store = Store.allocate.__send__(:start, url, OWN_OPTIONS.merge(options))
      return store unless block_given?

      begin
        yield store
      ensure
        store.close
      end
    end

    # Copies pairs, with the time they have left, from store to store.
    #
    # @param source [Kivi::Store, String] a store or a URL
    # @param target [Kivi::Store, String]
    # @param cursor [String, nil] goes on where a copy ended ({Copied#cursor})
    # @param add_only [Boolean] leaves keys that the target has
    # @param expiry [Boolean] false: copies never expire
    # @param batch [Integer, nil] pairs a page
    # @param rate [Integer, nil] pairs a second at most
    # @param timeout [Numeric, nil] seconds for each page
    # @yieldparam progress [Kivi::Copied] after each page; what is raised ends the copy
    # @return [Kivi::Copied]; an exception has one as {Error#copied}
    def copy(source, target, prefix: nil, cursor: nil, dry_run: false, add_only: false, expiry: true,
             batch: nil, rate: nil, timeout: nil, &progress)
      opened = []
      from, to = [source, target].map { |end_| end_.is_a?(String) ? open(end_).tap { |s| opened << s } : end_ }
      from.__send__(:call_copy_to, to, progress, prefix, cursor, dry_run, add_only, !expiry, batch, rate, timeout)
    ensure
      opened.each(&:close)
    end

    # The kinds of store that the library knows.
    # @return [Array<Hash>] scheme, backend, summary, available, reason
    def stores = Core.schemes

    # The options of a scheme.
    # @return [Array<Hash>] name, type, default, recommended, choices, help, secret, required
    def options(scheme) = Core.options(scheme.to_s)
  end
end
