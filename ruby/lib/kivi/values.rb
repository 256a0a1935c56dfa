# frozen_string_literal: true

module Kivi
  # A word for an argument or a block's answer.
  # @private
  class Word
    def initialize(name)
      @name = name
      freeze
    end

    def inspect = "Kivi::#{@name}"
    alias to_s inspect
    def dup = self
    def clone(freeze: true) = self
  end
  private_constant :Word

  # For `ttl:`, the expiry that the key has stays.
  KEEP = Word.new("KEEP")
  # What the block of {Store#update} answers to delete the key.
  DELETE = Word.new("DELETE")
  # What the block of {Store#update} answers to write nothing.
  LEAVE = Word.new("LEAVE")

  # Equal, hashed and shown by its fields, and frozen.
  # @private
  module Record
    def to_h = self.class::FIELDS.to_h { |name| [name, instance_variable_get("@#{name}")] }
    def ==(other) = other.class == self.class && other.to_h == to_h
    def eql?(other) = other.class == self.class && other.to_h.eql?(to_h)
    def hash = [self.class, to_h].hash
    def deconstruct_keys(_names) = to_h
    def inspect = "#<#{self.class} #{to_h.map { |name, value| "#{name}=#{value.inspect}" }.join(' ')}>"
    alias to_s inspect
  end
  private_constant :Record

  # An extension value of msgpack: a type from -128 to 127 (but -1: timestamps) and bytes.
  class Ext
    include Record
    FIELDS = %i[type data].freeze

    # @return [Integer]
    attr_reader :type
    # @return [String] binary and frozen
    attr_reader :data

    def initialize(type, data)
      raise TypeError, "an Ext's type is an Integer, not #{type.class}" unless type.is_a?(Integer)
      raise ArgumentError, "an Ext's type is from -128 to 127 but -1" if type == -1 || !type.between?(-128, 127)

      @type = type
      @data = String(data).b.freeze
      freeze
    end
  end

  # A map as an Array of [key, value]: what stores opened with `pairs: true` read in place of a Hash, since it holds
  # keys that a Hash would merge. Written, it is a map again.
  class Pairs < Array
    def inspect = "Kivi::Pairs#{super}"
    alias to_s inspect
  end

  # The outcome of one operation of {Store#apply}.
  class Result
    include Record
    FIELDS = %i[status existed integer error].freeze

    # @return [String] "OK", "NOT_FOUND" (a touch), "CONDITION" (its condition did not hold), "ABORTED" (that of another
    #   did not), or that of {#error}
    attr_reader :status
    # @return [Integer] the sum of an increment
    attr_reader :integer
    # @return [Error, nil]
    attr_reader :error

    # @private
    def initialize(status, existed = false, integer = 0, error = nil)
      @status = status
      @existed = existed
      @integer = integer
      @error = error
      freeze
    end

    # Whether it did what it says.
    def ok? = @status == "OK"
    # Whether the key was there before.
    def existed? = @existed
  end

  # How far a copy is.
  class Copied
    include Record
    FIELDS = %i[copied skipped bytes seconds cursor].freeze

    # @return [Integer] pairs written
    attr_reader :copied
    # @return [Integer] pairs left alone
    attr_reader :skipped
    # @return [Integer] bytes of keys and values read
    attr_reader :bytes
    # @return [Float]
    attr_reader :seconds
    # @return [String, nil] where another copy of the same source and prefix can go on; nil: at the end
    attr_reader :cursor

    # @private
    def initialize(copied, skipped, bytes, seconds, cursor)
      @copied = copied
      @skipped = skipped
      @bytes = bytes
      @seconds = seconds
      @cursor = cursor
      freeze
    end
  end

  # Something that happened in a store, as `on_event:` of {Kivi.open} is told. Values are in none.
  class Event
    include Record
    FIELDS = %i[kind scheme verb status error items attempt duration key].freeze

    # @return [Symbol] :call (a call ended), :vector (keys that travelled together came back), :retry, :reconnect, :sweep
    #   (expired entries were removed), or :dropped: so many ({#items}) events could not be kept
    attr_reader :kind
    # @return [String] of the store
    attr_reader :scheme
    # @return [String] "get"; of a vector "read", "write" or "scan"
    attr_reader :verb
    # @return [String] "OK", "NOT_FOUND", ...
    attr_reader :status
    # @return [Class, nil] of a failure
    attr_reader :error
    # @return [Integer] keys concerned
    attr_reader :items
    # @return [Integer] of a retry, from 1
    attr_reader :attempt
    # @return [Float] seconds; 0 where it was not measured
    attr_reader :duration
    # @return [String, nil] with the option `event_keys` of a store, of a call with one key
    attr_reader :key

    # @private
    def initialize(kind, scheme, verb = "", status = "OK", error = nil, items = 0, attempt = 0, duration = 0.0, key = nil)
      @kind = kind
      @scheme = scheme
      @verb = verb
      @status = status
      @error = error
      @items = items
      @attempt = attempt
      @duration = duration
      @key = key
      freeze
    end
  end
end
