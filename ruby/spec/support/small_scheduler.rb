# frozen_string_literal: true

# A fiber scheduler small enough to read: descriptors to read, sleeping, blocking. It counts what it was asked.
class SmallScheduler
  attr_reader :io_waits

  def initialize
    @readable = {}
    @sleeping = {}
    @ready = []
    @blocked = 0
    @io_waits = 0
    @lock = Thread::Mutex.new
    @wake_read, @wake_write = IO.pipe
  end

  # Runs fibers in a thread of their own until all have ended; what one raises comes out.
  def self.run(&block)
    Thread.new do
      Thread.current.report_on_exception = false
      scheduler = new
      Fiber.set_scheduler(scheduler)
      block.call(scheduler)
    end.value
  end

  def run
    step until @readable.empty? && @sleeping.empty? && @ready.empty? && @blocked.zero?
  end
  alias close run

  def fiber(&block) = Fiber.new(blocking: false, &block).tap(&:resume)

  def io_wait(io, events, _timeout)
    @io_waits += 1
    raise "this scheduler only reads" unless events == IO::READABLE

    (@readable[io] ||= []) << Fiber.current
    Fiber.yield
    events
  ensure
    @readable[io]&.delete(Fiber.current)
    @readable.delete(io) if @readable[io] && @readable[io].empty?
  end

  def kernel_sleep(duration = nil) = block(:sleep, duration)

  def block(_blocker, timeout = nil)
    timeout ? @sleeping[Fiber.current] = now + timeout : @blocked += 1
    Fiber.yield
  ensure
    timeout ? @sleeping.delete(Fiber.current) : @blocked -= 1
  end

  def unblock(_blocker, fiber)
    @lock.synchronize { @ready << fiber }
    @wake_write.write_nonblock(".")
  end

  private

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  def patience
    return 0 unless @ready.empty?

    soonest = @sleeping.values.min
    soonest && [soonest - now, 0].max
  end

  def step
    readable, = IO.select(@readable.keys + [@wake_read], nil, nil, patience)
    (readable || []).each do |io|
      next io.read_nonblock(1000) if io == @wake_read

      @readable.fetch(io, []).dup.each(&:resume)
    end
    ready = @lock.synchronize { @ready.tap { @ready = [] } }
    due = @sleeping.select { |_, at| at <= now }.keys
    (ready + due).each { |fiber| fiber.resume if fiber.alive? }
  end
end
