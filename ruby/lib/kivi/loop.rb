# frozen_string_literal: true

module Kivi
  # The calls in flight of one thread's fiber scheduler. They share a queue with one descriptor: one of the fibers that wait
  # reads it for all, the others are blocked until it tells them.
  # @private
  class Loop
    # The one of this thread's scheduler.
    def self.here
      scheduler = Fiber.scheduler
      current = Thread.current.thread_variable_get(:kivi_loop)
      return current if current&.of?(scheduler)

      new(scheduler).tap { |made| Thread.current.thread_variable_set(:kivi_loop, made) }
    end

    def initialize(scheduler)
      @scheduler = scheduler
      @process = Process.pid
      @queue = Core::Queue.new
      @io = IO.for_fd(@queue.descriptor, autoclose: false)
      @waiting = {} # a pending call: its fiber
      @reader = nil # the fiber that reads the descriptor
    end

    def of?(scheduler) = @scheduler.equal?(scheduler) && @process == Process.pid

    # Until the call is done. Whatever is raised here passes through.
    def wait(pending)
      @waiting[pending] = Fiber.current
      until pending.done?
        if @reader
          @scheduler.block(self, nil)
        else
          read(pending)
        end
      end
    ensure
      @waiting.delete(pending)
      hand_on
    end

    private

    def read(pending)
      @reader = Fiber.current
      @scheduler.io_wait(@io, IO::READABLE, nil)
      @queue.take.each { |done| wake(done) unless done.equal?(pending) }
    ensure
      @reader = nil
    end

    def wake(done)
      fiber = @waiting[done]
      @scheduler.unblock(self, fiber) if fiber
    end

    # Somebody else must read now.
    def hand_on
      return if @reader

      _, fiber = @waiting.find { |pending, _| !pending.done? }
      @scheduler.unblock(self, fiber) if fiber
    end
  end
end
