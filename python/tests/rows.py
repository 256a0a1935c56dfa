"""The rows of the conformance suite, from its own table and from the environment: which stores there are."""
import itertools
import os

_TABLE = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "conformance", "rows.txt")
_numbers = itertools.count()


def _listed():
    """Names, URLs and traits."""
    with open(_TABLE) as table:
        lines = [line.split() for line in table]
    for words in lines:
        if words and not words[0].startswith("#"):
            yield words[0], words[1], words[2:]
    for variable, url in sorted(os.environ.items()):
        name = variable.removeprefix("KIVI_TEST_")
        if name != variable and url:
            yield name.lower().replace("_", "-"), url, os.environ.get(f"KIVI_TRAITS_{name}", "").split(",")


def _store(name):
    return name.partition("-")[0]


_wanted = [store for store in os.environ.get("STORES", "").split(",") if store]
_given = [row for row in _listed() if "queue" not in row[2]]  # that trait is the C suite's
_rows = {name: url for name, url, _ in _given if not _wanted or _store(name) in _wanted}
# A mapping lists its keys, and nearly every case looks there or cleans up by it. Stores that cannot: test_unlisted.py.
UNLISTED = [name for name, url in _rows.items() if _store(name) == "memcached" and "scan=metadump" not in url]
ALL = {name: url for name, url in _rows.items() if name not in UNLISTED}
# Schemes of what a child of a process that has used it cannot use: it gets kivi.Forked, from a new store too.
CHILDLESS = {url.partition(":")[0] for _, url, traits in _given if {"single", "childless"} & set(traits)}
assert _wanted or len(ALL) > 20, "the rows of the conformance suite were not found"
# One of each store; where one does not wait for the disk, that one.
ONE_OF_EACH = [f"{name}-unsynced" if f"{name}-unsynced" in ALL else name for name in ALL if "-" not in name]
if not _wanted and "redis" not in ALL:
    ONE_OF_EACH.append("redis")  # whose cases then say what is missing


def own_url(name, folder):
    """The URL of a row with a keyspace that nobody else uses; `folder` is the case's own."""
    own = f"python-{os.getpid()}-{next(_numbers)}"
    url = _rows[name]
    if "{name}" in url or "{dir}" in url:
        return url.replace("{name}", own).replace("{dir}", str(folder))
    return url if "namespace=" in url else f"{url}{'&' if '?' in url else '?'}namespace={own}"
