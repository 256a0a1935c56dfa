"""LMDB and memory, beside py-lmdb with msgpack, OpenDAL, diskcache and shelve."""
import os
import shelve

import kivi
from row import each_key, peer_module, row

VALUE = {"name": "Ada Lovelace", "age": 36, "score": 98.5, "tags": ["math", "code"]}
KEYS = [f"user:{i:04}" for i in range(1000)]


def fresh(folder, name):
    path = os.path.join(folder, f"{name}-{len(os.listdir(folder))}")
    os.mkdir(path)
    return path


def own_store(made, url, **options):
    store = made.stack.enter_context(kivi.open(url, **options))
    store.set_many((key, VALUE) for key in KEYS)
    return store


def own_lmdb(made, folder):
    return own_store(made, f"lmdb:{fresh(folder, 'own')}/data.mdb", sync=False)


def py_lmdb(made, folder):
    lmdb, msgpack = peer_module("lmdb"), peer_module("msgpack")
    environment = lmdb.open(fresh(folder, "peer"), map_size=1 << 30, sync=False)
    made.stack.callback(environment.close)
    with environment.begin(write=True) as transaction:
        for key in KEYS:
            transaction.put(key.encode(), msgpack.packb(VALUE))
    return environment, msgpack


@row("python-lmdb-get", "typed get of a dict of four fields, LMDB, Python", "py-lmdb and msgpack", target=0.6)
def lmdb_get(made, folder, redis):
    environment, msgpack = py_lmdb(made, folder)
    unpack = msgpack.unpackb

    def get(key):
        with environment.begin(buffers=True) as transaction:
            return unpack(transaction.get(key.encode()))

    return each_key(get, KEYS), each_key(own_lmdb(made, folder).get, KEYS)


@row("python-lmdb-set", "typed set of a dict of four fields, LMDB, sync=false, Python", "py-lmdb and msgpack", target=0.7)
def lmdb_set(made, folder, redis):
    environment, msgpack = py_lmdb(made, folder)
    pack = msgpack.packb

    def put(key, value):
        with environment.begin(write=True) as transaction:
            transaction.put(key.encode(), pack(value))

    return each_key(put, KEYS, VALUE), each_key(own_lmdb(made, folder).set, KEYS, VALUE)


def opendal_memory():
    operator = peer_module("opendal").Operator("memory")
    pack = peer_module("msgpack")
    for key in KEYS:
        operator.write(key, pack.packb(VALUE))
    return operator, pack


@row("python-memory-get", "get, memory, Python", "OpenDAL's wheel and msgpack", "ops", 5)
def memory_get(made, folder, redis):
    operator, msgpack = opendal_memory()
    unpack, read = msgpack.unpackb, operator.read
    return each_key(lambda key: unpack(read(key)), KEYS), each_key(own_store(made, "memory:").get, KEYS)


@row("python-memory-exists", "exists, memory, Python", "OpenDAL's wheel", "ops", 5)
def memory_exists(made, folder, redis):
    operator, _ = opendal_memory()
    return each_key(operator.exists, KEYS), each_key(own_store(made, "memory:").exists, KEYS)


@row("python-memory-set", "set, memory, Python", "OpenDAL's wheel and msgpack", "ops", 5)
def memory_set(made, folder, redis):
    operator, msgpack = opendal_memory()
    pack, write = msgpack.packb, operator.write
    return (
        each_key(lambda key, value: write(key, pack(value)), KEYS, VALUE),
        each_key(own_store(made, "memory:").set, KEYS, VALUE),
    )


def diskcache_of(made, folder):
    cache = made.stack.enter_context(peer_module("diskcache").Cache(fresh(folder, "diskcache")))
    for key in KEYS:
        cache[key] = VALUE
    return cache


@row("python-diskcache-get", "get, LMDB, Python", "diskcache", "ops", 5)
def diskcache_get(made, folder, redis):
    return each_key(diskcache_of(made, folder).get, KEYS), each_key(own_lmdb(made, folder).get, KEYS)


@row("python-diskcache-exists", "exists, LMDB, Python", "diskcache", "ops", 5)
def diskcache_exists(made, folder, redis):
    cache = diskcache_of(made, folder)
    return each_key(cache.__contains__, KEYS), each_key(own_lmdb(made, folder).exists, KEYS)


@row("python-diskcache-set", "set, LMDB, sync=false, Python", "diskcache", "ops", 5)
def diskcache_set(made, folder, redis):
    cache = diskcache_of(made, folder)
    return each_key(cache.set, KEYS, VALUE), each_key(own_lmdb(made, folder).set, KEYS, VALUE)


def shelf_of(made, folder):
    shelf = made.stack.enter_context(shelve.open(os.path.join(fresh(folder, "shelf"), "shelf")))
    for key in KEYS:
        shelf[key] = VALUE
    return shelf


@row("python-shelve-get", "get, LMDB, Python", "shelve", "ops", 1)
def shelve_get(made, folder, redis):
    shelf = shelf_of(made, folder)
    return each_key(shelf.__getitem__, KEYS), each_key(own_lmdb(made, folder).__getitem__, KEYS)


@row("python-shelve-exists", "exists, LMDB, Python", "shelve", "ops", 1)
def shelve_exists(made, folder, redis):
    shelf = shelf_of(made, folder)
    return each_key(shelf.__contains__, KEYS), each_key(own_lmdb(made, folder).__contains__, KEYS)


@row("python-shelve-set", "set, LMDB, sync=false, Python", "shelve", "ops", 1)
def shelve_set(made, folder, redis):
    shelf = shelf_of(made, folder)
    return each_key(shelf.__setitem__, KEYS, VALUE), each_key(own_lmdb(made, folder).__setitem__, KEYS, VALUE)
