"""Writes that nobody waits for: in every phase, none lost, failures told, and no more than the queue holds."""
import os
import signal

from world import equal, true, wait_for

PHASES = "access balancer body_filter content header_filter log rewrite set"
SECONDS = int(os.environ.get("KIVI_NGINX_SECONDS", "10"))


def case_in_every_phase(world):
    world.start()
    for store in ("redis", "lmdb", "memory"):
        world.good(f"/leave_in_phases/{store}")
        wait_for(f"all of them on {store}", lambda: world.good(f"/left/{store}") == PHASES)
    equal([line for line in world.log().splitlines() if "[error]" in line], [], "errors in the log")


def case_every_write(world):
    world.start()
    for store in ("redis", "memory"):
        equal(world.good(f"/leave_each/{store}"), "14 false", "answers, and the caller's own table")
        wait_for("their end", lambda: world.waiting() == 0)
    equal(world.good("/left_each/memory"), "a=3 b=4 c=5 d=nil e=nil f=8 g=nil", "what is there then")


def case_bad_ones_are_told_at_once(world):
    world.start()
    for store in ("redis", "lmdb", "memory"):
        equal(world.good(f"/leave_badly/{store}"), "false false INVALID", f"mistakes on {store}")


def count_under_load(world, store, connections):
    load = world.wrk(f"/count_in_log/{store}", max(SECONDS // 3, 1), connections)
    statuses = load.end()
    equal(set(statuses), {200}, "statuses")
    wait_for("calls in flight to end", lambda: world.waiting() == 0)
    counted, submitted, done, failed, refused = map(int, world.good(f"/counted/{store}").split())
    print(f"# {store}: {statuses[200]} answers, {counted} counted, {refused} refused", flush=True)
    equal((done, failed), (submitted, 0), "what became of those that were submitted")
    equal(counted, submitted, "counts in the store")
    true(statuses[200] <= submitted + refused <= statuses[200] + connections, f"{submitted} of {statuses[200]} requests")
    return refused


def case_none_is_lost_under_load(world):
    world.start()
    equal(count_under_load(world, "redis", 128), 0, "refused")
    count_under_load(world, "lmdb", 128)


def case_a_worker_that_ends_makes_them(world):
    world.start()
    for number in (signal.SIGHUP, signal.SIGHUP):
        old = world.worker()
        world.nginx.send_signal(number)
        wait_for("the old worker to end", lambda: old not in world.workers() and world.worker() != old)
        for store in ("redis", "lmdb"):
            equal(world.good(f"/value/{store}?key=ended"), str(old), f"what it wrote as it ended, {store}")


def case_a_worker_told_to_end_at_once_flushes(world):
    """While Redis stands still for a moment."""
    world.start()
    equal(world.good("/leave_many/redis"), " ".join(["true"] * 10), "ten of them")
    world.redis.signal(signal.SIGSTOP)
    equal(world.good("/leave_many/redis"), " ".join(["true"] * 10), "ten more")
    old = world.worker()
    os.kill(old, signal.SIGTERM)
    world.redis.signal(signal.SIGCONT)
    wait_for("it to end", lambda: old not in world.workers())  # what asks it now is cut off
    wait_for("all of them", lambda: world.get("/value/redis?key=many")[1] == "20\n")


def case_failures_are_counted_and_told(world):
    world.start()
    equal(world.good("/leave_many/told"), " ".join(["true"] * 10), "ten of them")
    wait_for("their end", lambda: world.waiting() == 0)
    world.redis.kill()
    for _ in range(3):
        world.good("/leave_many/told")
    wait_for("their end", lambda: world.waiting() == 0)
    equal(world.good("/told/redis"), "30 increment UNAVAILABLE many", "how many were told, and the last")
    world.good("/leave_many/redis")
    wait_for("a line of the log", lambda: "nobody waits for failed, the last, increment: UNAVAILABLE" in world.log())


def case_a_full_queue_refuses(world):
    world.start()
    world.redis.signal(signal.SIGSTOP)
    said = world.good("/leave_many/few").split()
    equal((said.count("true"), said.count("BUSY")), (4, 6), f"queue_limit=4 ({said})")
    world.redis.signal(signal.SIGCONT)
    wait_for("the four", lambda: world.get("/value/few?key=many")[1] == "4\n")
