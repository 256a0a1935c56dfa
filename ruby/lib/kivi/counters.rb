# frozen_string_literal: true

module Kivi
  # Numbers for libraries that write "1" and count on: as Integers in the store, so that {Store#increment} adds to them,
  # and as text for who reads.
  # @private
  module Counters
    NUMBER = /\A(?:0|-?[1-9]\d{0,17})\z/
    private_constant :NUMBER

    # What is stored for a text: an Integer where that reads as the same text.
    def self.pack(text) = text.is_a?(String) && NUMBER.match?(text.b) ? text.to_i : text

    # What was packed.
    def self.unpack(value) = value.is_a?(Integer) ? value.to_s : value
  end
end
