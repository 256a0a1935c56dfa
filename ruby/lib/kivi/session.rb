# frozen_string_literal: true

require "rack/session/abstract/id"
require "kivi"

module Kivi
  # Sessions of Rack in any store. `require "kivi/session"`, then:
  #
  #   use Kivi::Session, store: "redis://localhost/0?namespace=sessions", expire_after: 1800
  #
  # A session is stored as the Hash that it is: what is in it must be storable. It expires `expire_after` seconds after the last
  # request that wrote it. A session that somebody deleted meanwhile is not written again.
  class Session < ::Rack::Session::Abstract::PersistedSecure
    NEW = "kivi.session.new" # in the request: the id that this request made
    private_constant :NEW

    # @return [Kivi::Store]
    attr_reader :store

    # @param options [Hash] `store:`, a {Kivi::Store} or a URL; `prefix:` of its keys, "session:"; others are Rack's own
    def initialize(app, options = {})
      super
      given = options.fetch(:store) { raise ArgumentError, "Kivi::Session needs store:" }
      @store = given.is_a?(String) ? Kivi.open(given) : given
      @prefix = options.fetch(:prefix, "session:")
    end

    private

    def key(id) = "#{@prefix}#{id.private_id}"

    def new_id(request) = generate_sid.tap { |id| request.set_header(NEW, id.private_id) }

    def find_session(request, id)
      session = id && @store[key(id)]
      session ? [id, session] : [new_id(request), {}]
    end

    def write_session(request, id, session, options)
      is_new = request.get_header(NEW) == id.private_id
      return id if is_new && session.empty? # of a cookie whose session is gone

      write = is_new ? :set : :replace
      @store.public_send(write, key(id), session.to_hash, ttl: options[:expire_after]) && id
    end

    def delete_session(request, id, options)
      @store.delete(key(id))
      new_id(request) unless options[:drop]
    end
  end
end
