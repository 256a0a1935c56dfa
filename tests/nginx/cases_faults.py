"""Bad days: a store that stops, dies and comes back; clients that go away; workers that are reloaded and killed."""
import os
import signal
import time

from world import descriptors, equal, memory, true, wait_for

SECONDS = int(os.environ.get("KIVI_NGINX_SECONDS", "10"))
REQUESTS = int(os.environ.get("KIVI_NGINX_REQUESTS", "100000"))
LANES = 8  # of a store on a network, unless the option `lanes` says otherwise


def case_deadlines_hold_while_redis_stands_still(world):
    world.start()
    equal(world.good("/set/short"), "true", "set")
    world.redis.signal(signal.SIGSTOP)
    equal(world.get("/get/short"), (503, "TIMEOUT\n"), "a read")
    equal(world.get("/set/short")[0], 503, "a write")
    equal(world.waiting(), 0, "calls in flight")
    world.redis.signal(signal.SIGCONT)
    wait_for("Redis, once it goes on", lambda: world.get("/get/short")[0] == 200)


def case_redis_standing_still_delays_nothing_else(world):
    """Order tells: all of LMDB's answers come before any of Redis's, on the one worker."""
    world.start()
    equal(world.good("/set/lmdb?value=here"), "true", "set")
    world.redis.signal(signal.SIGSTOP)
    held = [world.send("/get/patient") for _ in range(20)]
    wait_for("20 calls in flight", lambda: world.waiting() == 20)
    for number in range(200):
        equal(world.good("/get/lmdb"), "here", "a read of LMDB")
        if number % 10 == 0:
            equal(world.good(f"/set/lmdb?value=here"), "true", "a write to LMDB")
    equal(world.waiting(), 20, "calls in flight, still")
    world.redis.signal(signal.SIGCONT)
    for connection in held:
        with connection:
            true(b" 404 " in connection.makefile("rb").readline(), "an answer of Redis once it goes on")


def case_clients_that_go_away_leave_nothing(world):
    world.start()
    equal(world.good("/set/patient"), "true", "set")
    before = descriptors(world.worker())
    world.redis.signal(signal.SIGSTOP)
    held = [world.send("/get/patient") for _ in range(50)] + [world.send("/set/patient") for _ in range(50)]
    wait_for("100 calls in flight", lambda: world.waiting() == 100)
    for connection in held:
        connection.close()
    wait_for("the calls of those who left to end, long before their deadline", lambda: world.waiting() == 0, 20)
    world.redis.signal(signal.SIGCONT)
    wait_for("Redis, once it goes on", lambda: world.get("/get/redis")[0] == 200)
    for _ in range(200):
        equal(world.good("/get/patient"), "value", "a call after that")
    true(descriptors(world.worker()) <= before + 8, "descriptors are left open")


def case_killed_light_threads_leave_nothing(world):
    world.start()
    world.redis.signal(signal.SIGSTOP)
    for _ in range(30):
        equal(world.good("/kill_thread/patient"), "killed", "kill")
    wait_for("their calls to end", lambda: world.waiting() == 0, 20)
    world.redis.signal(signal.SIGCONT)
    equal(world.good("/set/patient"), "true", "a call after that")


def case_a_killed_computation_is_taken_over(world):
    """Long before the time of those who wait is over."""
    world.start()
    computing = world.send("/compute_for_ever/redis")
    wait_for("it to compute", lambda: world.get("/compute_waits/redis")[1] == "1\n")
    waiting = [world.send("/compute_at_last/redis") for _ in range(5)]
    computing.close()
    for connection in waiting:
        with connection:
            said = connection.makefile().read()
            true("at last" in said, f"what those who wait get: {said}")


def case_a_killed_light_thread_that_computes_is_taken_over(world):
    world.start()
    equal(world.good("/compute_after_killed/redis"), "at last", "what the next gets")
    equal(world.good("/compute_on_recycled/redis"), "at last", "what the next gets that has its coroutine")


def case_computations_that_cross_end(world):
    world.start()
    equal(world.good("/compute_crossed/redis"), "both", "what they come to")


def case_a_killed_update_is_passed_over(world):
    world.start()
    for store in ("redis", "lmdb"):
        equal(world.good(f"/update_after_killed/{store}"), "1", f"the next on {store}")


def case_a_computation_that_raises_raises_for_all_who_waited(world):
    world.start()
    equal(world.good("/compute_raising/redis"), "1 5", "how often it ran, and for how many it raised")


def case_a_full_queue_says_busy(world):
    world.start()
    world.redis.signal(signal.SIGSTOP)
    said = world.good("/burst/few").split()
    equal(said.count("BUSY"), 6, f"calls beyond queue_limit=4 ({said})")
    equal(said.count("TIMEOUT"), 4, f"calls that waited ({said})")
    world.redis.signal(signal.SIGCONT)


def check_statuses(load, statuses):
    true(statuses.get(200, 0) > 0, f"no good answer: {statuses}")
    equal(set(statuses) - {200, 503}, set(), f"other answers than a value or a clean 503: {statuses}")
    equal(load.errors["timeout"], 0, f"requests that hang: {load.errors}")
    true(load.seconds < 10, f"one request took {load.seconds} s")


def case_redis_killed_and_restarted_twice_under_load(world):
    world.start()
    equal(world.good("/set/redis"), "true", "set")
    worker = world.worker()
    loads = [world.wrk("/mixed/redis", SECONDS), world.wrk("/mixed/tcp", SECONDS, 16)]
    for _ in range(2):
        time.sleep(SECONDS / 5)
        world.redis.kill()
        time.sleep(SECONDS / 5)
        world.redis.start()
    for load in loads:
        statuses = load.end()
        check_statuses(load, statuses)
        true(statuses.get(503, 0) > 0, f"Redis was dead, and nobody noticed: {statuses}")
        equal(load.errors, {"connect": 0, "read": 0, "write": 0, "timeout": 0}, "requests without an answer")
        print(f"# {statuses}, the longest took {load.seconds:.2f} s", flush=True)
    equal(world.worker(), worker, "the worker's process")
    equal(world.good("/mixed/redis"), "done", "a request after that")
    equal(world.waiting(), 0, "calls in flight")


def case_reload_under_load(world):
    world.start(workers=2)
    before = set(world.workers())
    load = world.wrk("/mixed/redis", 4)
    for _ in range(3):
        time.sleep(1)
        world.nginx.send_signal(signal.SIGHUP)
    statuses = load.end()
    equal(set(statuses), {200}, f"statuses while workers are replaced: {statuses}")
    equal(load.errors["timeout"], 0, "requests that hang")
    wait_for("the old workers to end", lambda: len(world.workers()) == 2)
    true(not before & set(world.workers()), "an old worker is still there")
    equal(world.good("/mixed/redis"), "done", "a request of the new ones")
    wait_for("their wake-up paths to be gone", lambda: not world.sockets())


def case_an_idle_worker_ends_at_once(world):
    """Long before the reader would end by itself."""
    world.start()
    equal(world.good("/set/redis"), "true", "set")
    old = world.worker()
    world.nginx.send_signal(signal.SIGHUP)
    wait_for("the old worker to end", lambda: old not in world.workers(), 8)


def case_a_worker_that_waits_ends_after_its_answers(world):
    world.start()
    equal(world.good("/set/redis?value=kept"), "true", "set")
    old = world.worker()
    world.redis.signal(signal.SIGSTOP)
    held = [world.send("/get/patient") for _ in range(20)]
    wait_for("20 calls in flight", lambda: world.waiting() == 20)
    world.redis.signal(signal.SIGCONT)
    world.nginx.send_signal(signal.SIGHUP)
    for connection in held:
        with connection:
            true(b" 200 " in connection.makefile("rb").readline(), "an answer of the worker that ends")
    wait_for("the old worker to end", lambda: old not in world.workers())


def case_a_killed_worker_is_replaced(world):
    world.start()
    equal(world.good("/set/redis"), "true", "set")
    for _ in range(3):
        load = world.wrk("/mixed/redis", 1)
        time.sleep(0.5)
        old = world.worker()
        os.kill(old, signal.SIGKILL)
        statuses = load.end()
        equal(set(statuses), {200}, f"statuses: {statuses}")
        wait_for("the next worker", lambda: old not in world.workers() and world.workers())
        equal(world.good("/get/redis"), "value", "a request of the next worker")
    equal(world.sockets(), [], "wake-up paths that were left")


def serve(world, path, requests):
    served = 0
    while served < requests:
        load = world.wrk(path, 2)
        statuses = load.end()
        equal(set(statuses), {200}, f"statuses: {statuses}")
        served += statuses[200]


def abandon(world, path, requests):
    """Clients that go away before their answer comes."""
    for _ in range(requests):
        world.send(path).close()
    wait_for("their calls to end", lambda: world.waiting() == 0)


def open_all_lanes(world, stores):
    """How many lanes are open depends on the load: with all of them open, any further descriptor is a leak."""
    world.redis.signal(signal.SIGSTOP)
    held = []
    for store in stores:
        for _ in range(2 * LANES):  # a call that finds the open lanes waiting opens another
            held.append(world.send(f"/get/{store}"))
            equal(world.waiting(), len(held), "calls in flight")
    world.redis.signal(signal.SIGCONT)
    for connection in held:
        with connection:
            true(b" 200 " in connection.makefile("rb").readline(), "an answer of Redis once it goes on")
    return world.redis.connections() == LANES * len(stores)


def case_many_requests_leave_nothing(world):
    world.start()
    for store in ("redis", "lmdb"):
        equal(world.good(f"/set/{store}"), "true", "set")
    worker = world.worker()
    paths = ("/get/redis", "/mixed/tcp", "/increment/redis", "/get/lmdb")
    for path in paths:
        serve(world, path, 1)
    wait_for("all lanes to be open", lambda: open_all_lanes(world, ("redis", "tcp")))
    abandon(world, "/mixed/redis", 2000)
    before, lua, opened = memory(worker), float(world.good("/memory")), descriptors(worker)
    for path in paths:
        serve(world, path, REQUESTS / len(paths))
    abandon(world, "/mixed/redis", 2000)
    lua_after, after = float(world.good("/memory")), memory(worker)
    print(f"# resident {before} before, {after} after; Lua {lua:.0f}, {lua_after:.0f}", flush=True)
    equal(world.worker(), worker, "the worker's process")
    equal(world.waiting(), 0, "calls in flight")
    true(after - before < 4 << 20, f"the worker grew by {after - before} bytes")
    true(lua_after - lua < 1 << 20, f"its Lua grew by {lua_after - lua} bytes")
    true(descriptors(worker) <= opened + 4, f"descriptors: {opened} before, {descriptors(worker)} after")


def case_an_idle_reader_ends_and_comes_back(world):
    """After ten seconds without a call nothing is left of the reader but what the next call begins again."""
    world.start()
    worker = world.worker()
    idle = descriptors(worker)
    equal(world.good("/set/redis"), "true", "set")
    busy = descriptors(worker)
    true(busy > idle, "no descriptor for a wake-up socket")
    wait_for("the reader to end", lambda: descriptors(worker) < busy)
    equal(world.good("/get/redis"), "value", "the next call")
