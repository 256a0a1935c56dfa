#!/usr/bin/python3
"""Clients that know nothing of this library, pylibmc (libmemcached) and pymemcache, find our keys, and we find theirs. Prints TAP.

usage: memcached.py KIVI URL, of a ring: KIVI_TEST_MEMCACHED
"""
import ctypes
import os
import pickle
import subprocess
import sys
import tempfile
import zlib
from urllib.parse import quote

import pylibmc
from pymemcache import serde
from pymemcache.client.base import Client

kivi, url = sys.argv[1], sys.argv[2]
servers = url.split("//")[1].split("/")[0].split(",")
KEYS = [f"interop-{number}" for number in range(60)]
RINGS = [("modula", "", {}, None), ("consistent", "&distribution=consistent", {"distribution": "consistent"}, None),
         ("ketama", "&distribution=ketama", {"ketama": True}, None),
         ("weighted", "&distribution=weighted&weights=8,1,2", {"ketama_weighted": True}, [8, 1, 2]),
         ("modula by md5", "&hash=md5", {"hash": "md5"}, None),
         ("ketama by fnv1a", "&distribution=ketama&hash=fnv1a_32", {"ketama": True, "hash": "fnv1a_32"}, None)]

SERVERS = " ".join(f"--SERVER={server}" for server in servers)
WEIGHTED = " ".join(f"--SERVER={server}/?{weight}" for server, weight in zip(servers, (8, 1, 2)))
CONFIGURATIONS = [("modula", SERVERS), ("consistent by fnv1a", f"{SERVERS} --DISTRIBUTION=consistent --HASH=fnv1a_32"),
                  ("weighted", f"--DISTRIBUTION=consistent,md5 --POOL-MIN=1 {WEIGHTED}")]


def run(store, *arguments):
    return subprocess.run([kivi, "-s", store, *arguments], stdout=subprocess.PIPE, check=True).stdout


failed = 0


def tell(name, problems):
    global failed
    failed = failed or bool(problems)
    for problem in problems:
        print("#", problem)
    print(f"{'not ok' if problems else 'ok'} - interop: memcached: {name}", flush=True)


def check_ring(name, options, behaviors, weights):
    store = f"memcached://{','.join(servers)}/?codec=raw{options}"
    names = [f"{server}:{weight}" for server, weight in zip(servers, weights)] if weights else servers
    check_both(name, store, "pylibmc", pylibmc.Client(names, behaviors=behaviors))


def check_both(name, store, peer_name, peer):
    for key in KEYS:
        run(store, "set", "--text", key, f"ours {key}")
    tell(f"{peer_name} finds our keys, {name}",
         [f"{key}: {peer.get(key)!r}" for key in KEYS if peer.get(key) not in (f"ours {key}", f"ours {key}".encode())])
    for key in KEYS:
        peer.set(key, b"theirs " + key.encode())
    tell(f"we find those of {peer_name}, {name}",
         [key for key in KEYS if run(store, "get", "--raw", key) != b"theirs " + key.encode()])


class Configured:
    """libmemcached itself, which reads the same configuration string."""

    def __init__(self, text):
        self.library = ctypes.CDLL("libmemcached.so.11")
        self.library.memcached.restype = ctypes.c_void_p
        self.library.memcached_get.restype = ctypes.c_void_p
        self.library.memcached_get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p,
                                               ctypes.c_void_p, ctypes.c_void_p]
        self.library.memcached_set.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p,
                                               ctypes.c_size_t, ctypes.c_long, ctypes.c_uint32]
        self.places = self.library.memcached(text.encode(), ctypes.c_size_t(len(text)))
        assert self.places, text

    def set(self, key, value):
        assert self.library.memcached_set(self.places, key.encode(), len(key), value, len(value), 0, 0) == 0

    def get(self, key):
        size, flags, status = ctypes.c_size_t(), ctypes.c_uint32(), ctypes.c_int()
        found = self.library.memcached_get(self.places, key.encode(), len(key), ctypes.byref(size), ctypes.byref(flags),
                                           ctypes.byref(status))
        return ctypes.string_at(found, size.value) if found else None


def check_configuration(name, text):
    store, peer = f"memcached:?codec=raw&configuration={quote(text)}", Configured(text)
    check_both(f"{name} by a string", store, "libmemcached", peer)


def check_one():
    host, port = servers[0].rsplit(":", 1)
    store, peer = f"memcached://{servers[0]}/?codec=raw", Client((host, int(port)))
    run(store, "set", "--text", "interop", "ours")
    tell("pymemcache reads our value", [] if peer.get("interop") == b"ours" else [repr(peer.get("interop"))])
    peer.set("interop", b"theirs", expire=100)
    left = float(run(store, "ttl", "interop").split()[0].rstrip(b"s"))
    tell("we read that of pymemcache, and its end",
         [] if run(store, "get", "--raw", "interop") == b"theirs" and 90 < left <= 100 else [str(left)])


# What the clients make of values: (what it is, the value, what raw bytes must be read as).
VALUES = [("bytes", b"\0\r\n\xff", bytes), ("no bytes", b"", bytes), ("a text", "f\u00fcr", bytes.decode), ("a number", 42, int),
          ("a long number", 2 ** 70, int), ("a tree", {"a": [1, None, "b"]}, pickle.loads)]


def check_values(client, peer):
    """Read by codec=raw: the bytes, of which the client's flags say the type. They stay theirs until we write others."""
    store, problems, kept, replaced = f"memcached://{servers[0]}/?codec=raw", [], [], []
    for name, value, reads in VALUES:
        peer.set("interop", value)
        found = run(store, "get", "--raw", "interop")
        if reads(found) != value:
            problems.append(f"{name}: {found!r}")
        run(store, "expire", "interop", "100")
        if peer.get("interop") != value:
            kept.append(f"{name}: {peer.get('interop')!r}")
        run(store, "set", "--text", "interop", "ours")
        if peer.get("interop") not in ("ours", b"ours"):
            replaced.append(f"{name}: {peer.get('interop')!r}")
    tell(f"we read the values of {client}", problems)
    tell(f"{client} knows its values again when we gave them another end", kept)
    tell(f"{client} reads bytes where we replaced its values", replaced)


def check_compressed():
    peer, long = pylibmc.Client([servers[0]]), b"long " * 1000
    peer.set("interop", long, min_compress_len=100)
    found = run(f"memcached://{servers[0]}/?codec=raw", "get", "--raw", "interop")
    tell("what pylibmc compressed is read as it lies there", [] if zlib.decompress(found) == long else [repr(found[:40])])


def check_migration():
    """Keys of a ring, some of pylibmc's and some of ours, move to LMDB by kivi copy, with the time that they have left."""
    source, peer = f"memcached://{','.join(servers)}/?codec=raw&namespace=moving&scan=metadump&timeout=60s", pylibmc.Client(servers)
    names = [f"key {number}" for number in range(300)]
    for name in names[:20]:
        run(source, "set", "--text", name, f"ours {name}", "--ttl", "500")
    for name in names[20:]:
        peer.set(f"moving:{name.replace(' ', '%20')}", f"theirs {name}".encode())
    with tempfile.TemporaryDirectory() as folder:
        target = f"lmdb:{os.path.join(folder, 'moved.mdb')}?codec=raw"
        subprocess.run([kivi, "copy", source, target, "--quiet"], check=True)
        found = set(run(target, "keys").decode().splitlines())
        values = {name: run(target, "get", "--raw", name) for name in (names[0], names[19], names[20], names[299])}
        left = [run(target, "ttl", name).split()[0].rstrip(b"s") for name in (names[0], names[20])]
    problems = [f"{name} is missing" for name in names if name not in found and f'"{name}"' not in found]
    problems += [f"{name}: a stranger" for name in sorted(found) if name.strip('"') not in names]
    problems += [f"{name}: {value!r}" for name, value in values.items()
                 if value != f"{'ours' if name in names[:20] else 'theirs'} {name}".encode()]
    if not 400 < float(left[0]) <= 502 or left[1] != b"never":
        problems.append(f"{left} left")
    tell("kivi copy moves a ring by its dumps", problems)


for ring in RINGS:
    check_ring(*ring)
for string in CONFIGURATIONS:
    check_configuration(*string)
check_one()
host, port = servers[0].rsplit(":", 1)
check_values("pylibmc", pylibmc.Client([servers[0]]))
check_values("pymemcache", Client((host, int(port)), serde=serde.pickle_serde))
check_compressed()
check_migration()
sys.exit(failed)
