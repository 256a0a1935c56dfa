# frozen_string_literal: true

# A work queue: each job is done by one worker, and by another one if that worker dies. usage: ruby jobs.rb [URL]
#
# A job is a value under "job/", in the order in which they were put. Who works on it holds a claim beside it, which only
# one can add, and which expires. What a worker finishes counts only while the claim is its own.
require "kivi"

class Worker
  LEASE = 30 # seconds that a job may take

  def initialize(store, name)
    @store = store
    @name = name
  end

  # The oldest job that nobody works on: [number, task]; nil: there is none.
  def claim
    @store.keys("job/").map { |key| key.delete_prefix("job/") }.sort.each do |number|
      next unless @store.add("claim/#{number}", @name, ttl: LEASE)

      task = @store.get("job/#{number}")
      return [number, task] if task

      @store.compare_and_delete("claim/#{number}", @name) # finished since it was listed
    end
    nil
  end

  # Whether it counts. The claim goes last: it guards the job until then.
  def finish(number)
    claimed, version = @store.get_versioned("claim/#{number}")
    return false unless claimed == @name

    @store.delete("job/#{number}")
    @store.apply([{ op: :delete, key: "claim/#{number}", if_version: version }]).first.ok?
  end
end

Kivi.open(ARGV.fetch(0, "memory:")) do |store|
  %w[first second third].each { |text| store.set(format("job/%08d", store.increment("jobs")), text) }
  workers = Array.new(3) { |index| Worker.new(store, "worker #{index}") }
  done = workers.map do |worker|
    Thread.new do
      tasks = []
      while (number, task = worker.claim)
        tasks << task if worker.finish(number)
      end
      tasks
    end
  end
  puts "done once each: #{done.flat_map(&:value).sort.join(" ")}; left: #{store.count("job/")}"
  store.delete("jobs")
end
