"""Redis, calls that wait: beside redis-py with hiredis, and valkey-glide-sync."""
import threading
import time

import kivi
from row import each, each_key, peer_module, row

KEYS = [f"key:{i:03}" for i in range(100)]
THREADS = 16


def own(made, redis, value="x" * 32):
    store = made.stack.enter_context(kivi.open(redis.url))
    store.set_many((key, value) for key in KEYS)
    return store


def redis_py(made, redis):
    client = peer_module("redis").Redis(port=redis.port)
    peer_module("hiredis")
    made.stack.callback(client.close)
    return client


@row("python-redis-get", "get, Redis, Python", "redis-py and hiredis", target=0.5)
def redis_get(made, folder, redis):
    store = own(made, redis)
    return each_key(redis_py(made, redis).get, KEYS), each_key(store.get, KEYS)


@row("python-redis-get-glide", "get, Redis, Python", "valkey-glide-sync")
def redis_get_glide(made, folder, redis):
    glide = peer_module("glide_sync")
    store = own(made, redis)
    configuration = glide.GlideClientConfiguration([glide.NodeAddress("127.0.0.1", redis.port)])
    client = glide.GlideClient.create(configuration)
    made.stack.callback(client.close)
    return each_key(client.get, KEYS), each_key(store.get, KEYS)


@row("python-redis-get-many", "get_many of 100, decoded, Redis, Python", "redis-py mget, raw bytes", target=0.6)
def redis_get_many(made, folder, redis):
    store = own(made, redis)
    return each(redis_py(made, redis).mget, KEYS), each(store.get_many, KEYS)


def by_threads(get):
    """So many gets shared out to 16 threads."""

    def side(count):
        share = count // THREADS + 1
        ready = threading.Barrier(THREADS + 1)

        def work(first):
            ready.wait()
            at = first
            for _ in range(share):
                get(KEYS[at])
                at = (at + 1) % len(KEYS)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        ready.wait()
        began = time.perf_counter()
        for thread in threads:
            thread.join()
        return (time.perf_counter() - began) * count / (share * THREADS)

    return side


@row("python-redis-threads", "get by 16 threads, Redis, Python", "redis-py, its pool", "ops", 3)
def redis_threads(made, folder, redis):
    store = own(made, redis)
    return by_threads(redis_py(made, redis).get), by_threads(store.get)
