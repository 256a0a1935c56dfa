# frozen_string_literal: true

module Kivi
  # What an error is about. Every {Error} has it, and what a hook of a store raised while a value was read.
  module About
    # @return [String, nil] the key that it is about
    attr_reader :key

    # @return [Hash{Integer => Exception}, nil] of a call with many keys, and of a page, the errors of those that failed,
    #   by position
    attr_reader :failures

    # @return [Array<Result>, Hash, nil] of {Store#apply}, all outcomes; of {Store#get_many}, those found
    attr_reader :results

    # @return [String, nil] of a scan, where another one with this `cursor:` goes on, behind what this one gave
    attr_reader :cursor
  end

  # What every failure of this library is: `rescue Kivi::Error` catches them all. One class for each way a call can fail.
  # Nothing of a message is secret, and none holds a value.
  module Error
    include About

    # @return [String] the word of libkivi: "TIMEOUT"
    def status = self.class::STATUS

    # @return [String] the store's kind, "redis"; "" where none was reached
    def backend = @backend || ""

    # @return [Integer] the number that the client library or the operating system gave, or 0
    def native_code = @native_code || 0

    # @return [String] the code of a store whose codes are text ("OOM" of Redis, an SQLSTATE), or ""
    def native_text = @native_text || ""

    # @return [Symbol] :no, :yes (nothing was applied), :if_idempotent (it may have been), :later (only time helps)
    def retryable = @retryable || :no

    # @return [Boolean] whether doing the same again is safe and can help
    def retryable? = retryable == :yes

    # @return [Copied, nil] of {Kivi.copy}, how far it came
    attr_reader :copied

    # @return [String, nil] of {Store#take} and {Store#get_and_expire}, the bytes of a value that cannot be read; the key still has them
    attr_reader :stored
  end

  # The key is not there, or has expired. A KeyError too.
  class NotFound < KeyError
    include Error

    STATUS = "NOT_FOUND"

    define_method(:key, KeyError.instance_method(:key))

    # @private
    def self.of(key, receiver = nil)
      new("key not found: #{key.inspect}", key: key, receiver: receiver)
    end
  end

  { ConditionFailed: ["CONDITION", "The condition did not hold; nothing was written."],
    Invalid: ["INVALID", "The caller's mistake: a bad argument, option, URL or cursor.", ArgumentError],
    Unsupported: ["UNSUPPORTED", "The store cannot do that; nothing was sent."],
    TooLarge: ["TOO_LARGE", "A key, value or batch is over the store's limit; nothing was sent.", ArgumentError],
    WrongType: ["WRONG_TYPE", "The key holds something else than the call needs.", TypeError],
    Overflow: ["OVERFLOW", "An integer would leave 64 bits; the value is unchanged.", RangeError],
    Corrupt: ["CORRUPT", "The stored bytes are damaged, or break a limit of the decoder."],
    Unrepresentable: ["UNREPRESENTABLE", "Ruby, or the store's codec, cannot hold the value; the message says where.",
                      TypeError],
    Aborted: ["ABORTED", "Another operation of the same atomic batch failed."],
    Timeout: ["TIMEOUT", "The deadline passed: of a read, or of a write of which nothing was sent."],
    Interrupted: ["INTERRUPTED", "The call was interrupted: a read, or a write of which nothing was sent."],
    Cancelled: ["CANCELLED", "The call was cancelled before anything of it was sent."],
    Unavailable: ["UNAVAILABLE", "The store cannot be reached; nothing was applied."],
    Uncertain: ["UNCERTAIN", "A write was cut off in flight: it may or may not have been applied."],
    Busy: ["BUSY", "Something else holds what the call needs; nothing was applied, try again."],
    Denied: ["DENIED", "The store refused these credentials or this operation."],
    Forked: ["FORKED", "What is used belongs to the parent process."],
    Closed: ["CLOSED", "The store was closed.", IOError],
    NoMemory: ["NO_MEMORY", "Out of memory."],
    InputOutput: ["IO", "The operating system failed below the store: disk full, read error.", IOError],
    Internal: ["INTERNAL", "A fault of libkivi or of the store's client library."],
    Unknown: ["UNKNOWN", "A failure that this version of the gem does not know."] }.each do |name, (status, _, parent)|
    const_set(name, Class.new(parent || StandardError) { include Error }).const_set(:STATUS, status)
  end
end
