# Ruby's part of the interop suite: writes the rows of table.txt, prints what a store holds, packs by `msgpack`.
# usage: interop.rb write URL TABLE | read URL | pack TABLE
# frozen_string_literal: true

def unhex(text)
  byte, times = text.to_s.split("*")
  [byte.to_s].pack("H*") * (times || 1).to_i
end

def tohex(data)
  bytes = data.b
  return "#{bytes[0].unpack1('H*')}*#{bytes.bytesize}" if bytes.bytesize > 16 && bytes == bytes[0] * bytes.bytesize

  bytes.unpack1("H*")
end

# The next value of a list of token lines; `make` builds floats that are no numbers, times and exts.
def build(tokens, make)
  kind, given = tokens.shift.split(" ", 2)
  case kind
  when "nil" then nil
  when "true" then true
  when "false" then false
  when "int" then Integer(given)
  when "float" then { "nan" => Float::NAN, "inf" => Float::INFINITY, "-inf" => -Float::INFINITY }[given] || Float(given)
  when "str" then unhex(given).force_encoding("UTF-8")
  when "bin" then unhex(given).b
  when "array" then Array.new(Integer(given)) { build(tokens, make) }
  when "map" then make.map(Array.new(Integer(given)) { [build(tokens, make), build(tokens, make)] })
  when "time" then make.time(*given.split.map { |part| Integer(part) })
  else
    type, data = given.split(" ")
    make.ext(Integer(type), unhex(data).b)
  end
end

# Yields name, whether the row has bytes of its own, and its token lines.
def each_row(path)
  name = nil
  raw = false
  tokens = []
  (File.readlines(path, chomp: true) + ["row "]).each do |line|
    if line.start_with?("row ")
      yield name, raw, tokens if name
      name, raw, tokens = line[4..], false, []
    elsif line.start_with?("raw ")
      raw = true
    elsif name && !line.start_with?("#", "except ", "refuses ")
      tokens << line
    end
  end
end

# Times and exts as Kivi's users write them.
module Native
  def self.map(pairs)
    merged = pairs.to_h
    raise Kivi::Unrepresentable, "a Hash merges these keys" if merged.size < pairs.size

    merged
  end

  def self.time(seconds, nanoseconds) = Time.at(seconds, nanoseconds, :nanosecond, in: "UTC")
  def self.ext(type, data) = Kivi::Ext.new(type, data)
end

# The same for the `msgpack` library.
module Independent
  def self.map(pairs) = pairs.to_h
  def self.time(seconds, nanoseconds) = MessagePack::Timestamp.new(seconds, nanoseconds)
  def self.ext(type, data) = MessagePack::ExtensionValue.new(type, data)
end

def dump_bytes(kind, data, out) = out << "#{kind} #{tohex(data)}".rstrip

def dump(value, out)
  case value
  when nil, true, false then out << (value.nil? ? "nil" : value.to_s)
  when Integer then out << "int #{value}"
  when Float then out << "float #{value.nan? ? 'nan' : value.infinite? ? (value.positive? ? 'inf' : '-inf') : format('%.17g', value)}"
  when String then dump_bytes(value.encoding == Encoding::BINARY ? "bin" : "str", value, out)
  when Array
    out << "array #{value.size}"
    value.each { |element| dump(element, out) }
  when Hash
    out << "map #{value.size}"
    value.each { |key, element| dump(key, out) && dump(element, out) }
  when Time then out << "time #{value.to_i} #{value.nsec}"
  when Kivi::Ext then dump_bytes("ext #{value.type}", value.data, out)
  else out << "stranger #{value.class}"
  end
end

def write(url, table)
  require "kivi"
  Kivi.open(url) do |store|
    each_row(table) do |name, raw, tokens|
      next if raw

      store[name] = build(tokens, Native)
    rescue Kivi::Error => e
      puts "row #{name}", "error #{e.status}"
    end
  end
end

def read(url)
  require "kivi"
  Kivi.open(url) do |store|
    store.keys.each do |name|
      lines = ["row #{name}"]
      begin
        dump(store[name], lines)
      rescue Kivi::Error => e
        lines = [lines.first, "error #{e.status}"]
      end
      puts lines
    end
  end
end

def pack(table)
  require "msgpack"
  factory = MessagePack::Factory.new
  factory.register_type(-1, MessagePack::Timestamp,
                        packer: ->(time) { MessagePack::Timestamp.to_msgpack_ext(time.sec, time.nsec) })
  each_row(table) do |name, raw, tokens|
    next if raw

    puts "row #{name}", "raw #{factory.dump(build(tokens, Independent)).unpack1('H*')}"
  rescue NoMethodError, RangeError, ArgumentError
    next # this library cannot hold the value
  end
end

send(ARGV.shift, *ARGV)
