# frozen_string_literal: true

require "uri"

# Stands before a Redis, and can hold back its answers and cut connections.
class Proxy
  attr_reader :port

  def initialize(url)
    target = URI(url)
    @host = target.host
    @target_port = target.port
    @rest = "#{target.path}#{target.query && "?#{target.query}"}"
    @server = TCPServer.new("127.0.0.1", 0)
    @port = @server.addr[1]
    @gate = Thread::Mutex.new
    @opened = Thread::ConditionVariable.new
    @held = false
    @sockets = []
    @threads = [Thread.new { accept }]
  end

  def url(option) = Places.with("redis://127.0.0.1:#{@port}#{@rest}", option)
  def hold = @gate.synchronize { @held = true }
  def release = @gate.synchronize { (@held = false) || @opened.broadcast }

  # Ends the connections there are; there may be new ones.
  def cut = @sockets.slice!(0..).each { |socket| socket.close unless socket.closed? }

  def close
    @threads.each(&:kill)
    @server.close
  end

  private

  def accept
    loop do
      client = @server.accept
      redis = TCPSocket.new(@host, @target_port)
      @sockets.push(client, redis)
      @threads << Thread.new { pump(client, redis) } << Thread.new { pump(redis, client) { wait_open } }
    end
  end

  def wait_open = @gate.synchronize { @opened.wait(@gate) while @held }

  def pump(from, to)
    loop do
      data = from.readpartial(65_536)
      yield if block_given?
      to.write(data)
    end
  rescue IOError, SystemCallError
    [from, to].each { |socket| socket.close unless socket.closed? }
  end
end
