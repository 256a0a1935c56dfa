# frozen_string_literal: true

require "active_support"
require "active_support/notifications"
require "kivi"

module Kivi
  # Calls of a store as ActiveSupport::Notifications. `require "kivi/notifications"`, then:
  #
  #   Kivi::Notifications.watch(store)
  #   ActiveSupport::Notifications.subscribe(/\.kivi\z/) { |event| StatsD.measure(event.name, event.duration) }
  #
  # Events are named "get.kivi", "set_many.kivi", and have `store` (its URL without secrets), `key`, `prefix` or `items` (how many), and
  # what was raised, as all of ActiveSupport's. They come on the thread that called. Values are in none.
  module Notifications
    ONE_KEY = %i[get get_versioned exists ttl set add replace delete_key compare_and_set compare_and_delete increment take
                 get_and_expire expire persist update get_or_set].freeze
    MANY_KEYS = %i[get_many set_many delete_many apply].freeze
    PREFIX = %i[page count clear].freeze
    NAMES = { delete_key: "delete", get_or_set: "fetch_or_set" }.freeze

    # Lies before the calls of a store that is watched.
    # @private
    module Watched
      { ONE_KEY => ->(key) { { key: key.to_s } },
        MANY_KEYS => ->(items) { { items: items.size } },
        PREFIX => ->(prefix) { { prefix: prefix.to_s } } }.each do |verbs, about|
        verbs.each do |verb|
          event = "#{NAMES.fetch(verb, verb)}.kivi"
          define_method(:"call_#{verb}") do |*arguments|
            payload = { store: @watched_url }.merge!(about.call(arguments.first))
            ActiveSupport::Notifications.instrument(event, payload) { super(*arguments) }
          end
          private :"call_#{verb}"
        end
      end
    end
    private_constant :ONE_KEY, :MANY_KEYS, :PREFIX, :NAMES, :Watched

    # Tells of each call of a store from now on.
    # @param store [Kivi::Store]
    # @return [Kivi::Store] the same
    def self.watch(store)
      store.instance_variable_set(:@watched_url, store.url)
      store.extend(Watched)
    end

    # What happens inside of a store as well: `Kivi.open(url, on_event: Kivi::Notifications.events)`. The names are "call.kivi",
    # "vector.kivi", "retry.kivi", "reconnect.kivi", "sweep.kivi" and "dropped.kivi", the payload is the {Kivi::Event} as a Hash,
    # with its own `duration` in seconds.
    # @return [Proc]
    def self.events
      ->(event) { ActiveSupport::Notifications.instrument("#{event.kind}.kivi", event.to_h) }
    end
  end
end
