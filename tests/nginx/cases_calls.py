"""The same answers wherever a call is made, and clear ones where none can be."""
from world import equal, true, wait_for

STORES = ("redis", "tcp", "lmdb", "memory")


def case_every_method_in_a_request(world):
    world.start()
    for store in STORES:
        equal(world.good(f"/calls/{store}"), "", f"what is wrong on {store}")
    equal(world.waiting(), 0, "calls in flight")


def case_every_method_in_a_timer_and_in_coroutines(world):
    world.start()
    for store in STORES:
        equal(world.good(f"/calls_in_a_timer/{store}"), "", f"what is wrong in a timer, {store}")
        equal(world.good(f"/calls_in_coroutines/{store}"), "", f"what is wrong in coroutines, {store}")


def case_every_method_while_a_worker_starts(world):
    world.start()
    for store in ("redis", "lmdb", "memory"):
        equal(world.good(f"/calls_in_init_worker/{store}"), "", f"what is wrong on {store}")


def phases(world, store):
    world.good(f"/phases/{store}")
    tried = []
    wait_for("the log phase", lambda: tried.append(world.good("/tried/redis")) or tried[-1])
    return dict(line.split(": ") for line in tried[-1].splitlines())


def case_phases_that_cannot_wait_say_so(world):
    world.start()
    waits, refused = "set got", "UNSUPPORTED UNSUPPORTED"
    found = phases(world, "redis")
    equal(found, {"set": refused, "rewrite": waits, "access": waits, "content": waits,
                  "header_filter": refused, "body_filter": refused, "log": refused}, "phases on Redis")


def case_reads_in_place_work_in_every_phase(world):
    world.start()
    found = phases(world, "lmdb")
    equal(found["content"], "set got", "content on LMDB")
    for phase in ("header_filter", "body_filter", "log"):
        equal(found[phase], "UNSUPPORTED missed", f"{phase} on LMDB: the read answers what content set")
    found = phases(world, "memory")
    equal(set(found.values()), {"set got"}, "phases on memory, which waits for nothing")


def case_calls_below_a_c_function_say_so(world):
    world.start()
    true(world.good("/below_c/redis").startswith("x UNSUPPORTED"), "a call below string.gsub")
    equal(world.good("/set/redis"), "true", "a call after that")
    equal(world.waiting(), 0, "calls in flight")


def case_one_store_of_the_master_in_every_worker(world):
    world.start(workers=3)
    pids = set()
    wait_for("all workers", lambda: pids.add(world.worker()) or len(pids) == 3)
    equal(world.good("/set/lmdb?value=shared"), "true", "set")
    equal(world.good("/set/redis?value=shared"), "true", "set")
    for _ in range(30):
        equal(world.good("/get/lmdb"), "shared", "LMDB in every worker")
        equal(world.good("/get/redis"), "shared", "Redis in every worker")
    equal(len(world.workers()), 3, "workers")


def case_memory_of_several_workers_is_told_in_the_log(world):
    world.start(workers=2)
    true("memory: is each worker's own: 2 workers" in world.log(), "nothing about it in the log")


def case_memory_of_one_worker_is_not_told(world):
    world.start(workers=1)
    true("each worker's own" not in world.log(), "it is in the log")


def case_a_computation_is_made_once(world):
    world.start()
    waiting = [world.send("/compute/redis?key=one") for _ in range(20)]
    answers = set()
    for connection in waiting:
        with connection:
            answers.add(connection.makefile().read().split()[-1])
    equal(len(answers), 1, f"different answers ({answers})")
    equal(world.good("/compute/redis?key=two"), "2", "the second computation")


def case_a_computation_may_leave(world):
    world.start()
    equal(world.good("/compute_leaving/redis"), "1 5", "how often it ran, and for how many there was no value")


def case_a_lease_is_of_all_workers(world):
    world.start(workers=3)
    for store in ("redis", "lmdb"):
        waiting = [world.send(f"/compute_leased/{store}") for _ in range(24)]
        answers = set()
        for connection in waiting:
            with connection:
                answers.add([line for line in connection.makefile().read().splitlines() if line.startswith("by ")][0])
        equal(len(answers), 1, f"different answers on {store} ({answers})")
        equal(world.good(f"/value/{store}?key=leased:ran"), "1", f"computations on {store}")


def case_the_time_of_a_function_does_not_count(world):
    world.start()
    for store in ("redis", "lmdb"):
        equal(world.good(f"/update_slowly/{store}"), "mine 2", f"a slow update on {store}")


def case_an_update_keeps_the_expiry(world):
    world.start()
    for store in STORES:
        equal(world.good(f"/update_keeps/{store}"), "10 1 3", f"hundreds of seconds left, tens, the value on {store}")


def case_no_update_is_lost(world):
    world.start(workers=2)
    for store in ("redis", "lmdb"):
        for name in ("increment", "update"):
            load = world.wrk(f"/{name}/{store}", 1, 16)
            statuses = load.end()
            equal(set(statuses), {200}, f"statuses of {name} on {store}: {statuses}")
            last = int(world.good(f"/{name}/{store}"))
            true(statuses[200] < last <= statuses[200] + 17,
                 f"{name} on {store}: {statuses[200]} requests counted {last}")
    true("ngx.sleep" not in world.log(), "a warning of a sleep of nothing")
