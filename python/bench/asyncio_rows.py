"""Redis, gets in flight in an event loop: beside redis.asyncio and valkey-glide."""
import asyncio
import time

import kivi.aio
from row import peer_module, row

KEYS = [f"key:{i:03}" for i in range(100)]


class Loop:
    """An event loop that the rounds of one side run in."""

    def __init__(self, made, new=asyncio.new_event_loop):
        self.loop = new()
        made.stack.callback(self._close)

    def run(self, call):
        return self.loop.run_until_complete(call)

    def _close(self):
        self.run(self.loop.shutdown_asyncgens())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()


async def _many(get, tasks, count):
    share = count // tasks + 1

    async def work(at):
        for _ in range(share):
            await get(KEYS[at])
            at = (at + 1) % len(KEYS)

    began = time.perf_counter()
    await asyncio.gather(*(work(i % len(KEYS)) for i in range(tasks)))
    return (time.perf_counter() - began) * count / (share * tasks)


def side_of(loop, get, tasks):
    return lambda count: loop.run(_many(get, tasks, count))


def own_side(made, redis, tasks, new=asyncio.new_event_loop):
    loop = Loop(made, new)

    async def start():
        store = await kivi.aio.open(redis.url)
        await store.set_many((key, "x" * 32) for key in KEYS)
        return store

    store = loop.run(start())
    made.stack.callback(lambda: loop.run(store.close()))
    return side_of(loop, store.get, tasks)


def redis_side(made, redis, tasks):
    redis_asyncio = peer_module("redis.asyncio")
    loop = Loop(made)
    client = redis_asyncio.Redis(port=redis.port, max_connections=2000)
    made.stack.callback(lambda: loop.run(client.aclose()))
    return side_of(loop, client.get, tasks)


def glide_side(made, redis, tasks):
    glide = peer_module("glide")
    loop = Loop(made)
    configuration = glide.GlideClientConfiguration(
        [glide.NodeAddress("127.0.0.1", redis.port)], inflight_requests_limit=2000
    )
    client = loop.run(glide.GlideClient.create(configuration))
    made.stack.callback(lambda: loop.run(client.close()))
    return side_of(loop, client.get, tasks)


def uvloop_side(made, redis, tasks):
    return own_side(made, redis, tasks, peer_module("uvloop").new_event_loop)


for _tasks in (100, 1000):
    for _suffix, _peer, _peer_side, _own_side, _target in (
        ("", "redis.asyncio", redis_side, own_side, 40),
        ("-uvloop", "redis.asyncio, libkivi on uvloop", redis_side, uvloop_side, None),
        ("-glide", "valkey-glide", glide_side, own_side, 12),
    ):

        def _setup(made, folder, redis, tasks=_tasks, peer_side=_peer_side, own=_own_side):
            ours = own(made, redis, tasks)
            return peer_side(made, redis, tasks), ours

        row(f"python-asyncio-{_tasks}{_suffix}", f"{_tasks} gets in flight, asyncio, Redis, Python", _peer, "ops",
            _target)(_setup)
