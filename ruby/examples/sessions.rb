# frozen_string_literal: true

# Sessions that end by themselves after half an hour without use, and can be ended for one user. usage: ruby sessions.rb [URL]
require "kivi"
require "securerandom"

class Sessions
  IDLE = 1800 # seconds

  def initialize(store)
    @store = store
  end

  def start(user, **data)
    id = SecureRandom.hex(16)
    @store.set("session/#{user}/#{id}", data, ttl: IDLE)
    [user, id].join("/")
  end

  # What it holds, and from now on half an hour more; nil: there is none.
  def [](name) = @store.get_and_expire("session/#{name}", IDLE)

  # The block gets the data and returns them as they shall be; nil: the session is over.
  def change(name)
    @store.update("session/#{name}") { |data| data ? yield(data) : Kivi::LEAVE }
  end

  # How many of a user's sessions there were.
  def end_all(user) = @store.clear("session/#{user}/")
end

Kivi.open(ARGV.fetch(0, "memory:")) do |store|
  sessions = Sessions.new(store)
  name = sessions.start("ada", cart: [])
  sessions.start("ada", cart: ["tea"])
  sessions.change(name) { |data| data.merge("cart" => data["cart"] + ["milk"]) }
  puts sessions[name].inspect, sessions["ada/unknown"].inspect
  puts "#{sessions.end_all("ada")} ended, #{sessions[name].inspect} left"
end
