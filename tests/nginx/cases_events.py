"""on_event in nginx: calls of requests are told in their worker, faults of the function end no request."""
from world import equal, true, wait_for

# An update is composed of others here.
HEARD = "apply OK 1, get NOT_FOUND 1, get OK 1, get_versioned OK 1, increment OK 1, set OK 1, set_many OK 2"


def case_of_calls(world):
    world.start()
    for store in ("heard", "heard_lmdb"):
        equal(world.good(f"/hear/{store}"), HEARD, f"what was told of {store}")


def case_of_a_server_that_goes_away(world):
    world.start()
    world.good("/hear/heard")
    world.redis.kill()
    true(world.get("/get/heard")[0] == 503, "a call without its server")
    wait_for("the reconnect", lambda: int(world.good("/told_of/heard?what=reconnect")) > 0)


def case_what_it_raises_ends_no_request(world):
    world.start()
    world.good("/set/raising?value=v")
    equal(world.good("/get/raising"), "v", "the value")
    true("kivi: on_event: " in world.log() and "a fault of its own: call" in world.log(), "the log says so")
