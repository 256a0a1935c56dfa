"""Sequences of operations against a plain dict."""
import os
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kivi
from test_values import same

KEYS = ["a", "b", "ab", "b:1", "ключ", "x y"]
keys = st.sampled_from(KEYS)
small = st.one_of(st.none(), st.integers(-5, 5), st.booleans(), st.text(max_size=3), st.lists(st.integers(-9, 9), max_size=2))
steps = st.one_of(
    st.tuples(st.sampled_from(["set", "add", "replace", "setdefault", "item"]), keys, small),
    st.tuples(st.sampled_from(["get", "delete", "take", "exists", "del", "pop"]), keys),
    st.tuples(st.just("compare"), keys, small, small),
    st.tuples(st.just("compare_delete"), keys, small),
    st.tuples(st.just("increment"), keys, st.integers(-3, 3)),
    st.tuples(st.just("many"), st.dictionaries(keys, small, min_size=1)),
    st.tuples(st.sampled_from(["delete_many", "get_many"]), st.lists(keys, min_size=1, max_size=4)),
    st.tuples(st.just("update"), keys, small),
    st.tuples(st.just("clear"), st.sampled_from(["", "b", "zz"])),
    st.tuples(st.just("apply"), st.lists(st.tuples(keys, small), min_size=1, max_size=4), st.booleans()),
)


def is_count(value):
    return isinstance(value, int) and not isinstance(value, bool)


def check_simple(store, model, name, key, *rest):
    there, old = key in model, model.get(key)
    if name == "set" or name == "item":
        store.set(key, rest[0]) if name == "set" else store.__setitem__(key, rest[0])
        model[key] = rest[0]
    elif name == "add":
        assert store.add(key, rest[0]) is (not there)
        model.setdefault(key, rest[0])
    elif name == "replace":
        assert store.replace(key, rest[0]) is there
        if there:
            model[key] = rest[0]
    elif name == "setdefault":
        assert same(store.setdefault(key, rest[0]), model.setdefault(key, rest[0]))
    elif name == "get":
        assert same(store.get(key, "none"), model.get(key, "none"))
    elif name == "exists":
        assert store.exists(key) is (key in store) is there
    elif name in ("delete", "take"):
        answer = getattr(store, name)(key)
        assert same(answer, there if name == "delete" else old)
        model.pop(key, None)
    else:
        try:
            store.pop(key) if name == "pop" else store.__delitem__(key)
            assert there
        except KeyError:
            assert not there
        model.pop(key, None)


def check_conditions(store, model, name, key, *rest):
    there, old = key in model, model.get(key)
    if name == "compare":
        holds = there and same(old, rest[0])
        assert store.compare_and_set(key, *rest) is holds
        if holds:
            model[key] = rest[1]
    elif name == "compare_delete":
        holds = there and same(old, rest[0])
        assert store.compare_and_delete(key, rest[0]) is holds
        if holds:
            del model[key]
    elif name == "update":
        assert same(store.update_key(key, lambda now: [now, rest[0]]), [old, rest[0]])
        model[key] = [old, rest[0]]
    elif there and not is_count(old):
        try:
            store.increment(key, rest[0])
            raise AssertionError("no WrongType")
        except kivi.WrongType:
            pass
    else:
        model[key] = model.get(key, 0) + rest[0]
        assert store.increment(key, rest[0]) == model[key]


def check_many(store, model, name, what, *rest):
    if name == "many":
        store.set_many(what)
        model.update(what)
    elif name == "delete_many":
        assert store.delete_many(what) == len({key for key in what if key in model})
        for key in what:
            model.pop(key, None)
    elif name == "get_many":
        assert store.get_many(what) == {key: model[key] for key in what if key in model}
    elif name == "clear":
        gone = [key for key in model if key.startswith(what)]
        assert store.clear(what) == len(gone)
        for key in gone:
            del model[key]
    else:
        ops = dict(what) if rest[0] else None
        pairs = list(ops.items()) if ops is not None else what
        results = store.apply(
            [{"op": "set", "key": key, "value": value} for key, value in pairs], atomic=rest[0]
        )
        assert all(results) and len(results) == len(pairs)
        model.update(pairs)


def check(store, model, step):
    name = step[0]
    if name in ("compare", "compare_delete", "update", "increment"):
        check_conditions(store, model, *step)
    elif name in ("many", "delete_many", "get_many", "clear", "apply"):
        check_many(store, model, *step)
    else:
        check_simple(store, model, *step)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=st.lists(steps, max_size=40))
def test_any_sequence(store, plan):
    store.clear(all=store.scheme == "memory")
    model = {}
    for step in plan:
        check(store, model, step)
    found = dict(store.items())
    assert found == model and all(same(found[key], model[key]) for key in model)
    assert len(store) == len(model) and set(store) == set(model)


def test_a_long_sequence(store):
    seed = int(os.environ.get("KIVI_SEED", random.randrange(2**32)))
    print("KIVI_SEED", seed)
    pick, model = random.Random(seed), {}
    for _ in range(600):
        key, value = pick.choice(KEYS), pick.choice([None, 1, 0, True, "t", [1], -4])
        step = pick.choice(
            [("set", key, value), ("add", key, value), ("replace", key, value), ("get", key), ("take", key),
             ("compare", key, model.get(key), value), ("increment", key, 2), ("update", key, value),
             ("delete_many", [key, "a"]), ("get_many", KEYS), ("del", key), ("exists", key)]
        )  # fmt: skip
        check(store, model, step)
    assert dict(store.items()) == model
