"""Functions of the caller's that a call runs: hooks and computations, and what they raise."""
import datetime
import gc

import pytest

import kivi


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return (self.x, self.y) == (other.x, other.y)


def to_ext(value):
    if isinstance(value, Point):
        return kivi.Ext(1, bytes([value.x, value.y]))
    if isinstance(value, set):
        return sorted(value)
    raise TypeError(f"no {type(value).__name__} here")


def from_ext(type, data):
    return Point(*data) if type == 1 else kivi.Ext(type, data)


def test_default_and_ext(open_store):
    store = open_store(default=to_ext, ext=from_ext)
    value = {"at": [Point(1, 2), {"set": {3, 1}}], "other": kivi.Ext(2, b"x")}
    store["k"] = value
    assert store["k"] == {"at": [Point(1, 2), {"set": [1, 3]}], "other": kivi.Ext(2, b"x")}
    assert dict(store.items())["k"]["at"][0] == Point(1, 2)
    assert store.get_many(["k"])["k"]["at"][0] == Point(1, 2)
    assert store.compare_and_set("k", value, Point(3, 4)) and store["k"] == Point(3, 4)


def test_what_default_raises(open_store):
    store = open_store(default=to_ext)
    for call in (
        lambda: store.set("k", [1j]),
        lambda: store.set_many({"a": 1, "k": [1j]}),
        lambda: store.compare_and_set("k", 1, 1j),
        lambda: store.apply([{"op": "set", "key": "k", "value": 1j}]),
        lambda: store.get_or_set("k", lambda: 1j),
        lambda: store.update_key("k", lambda now: 1j),
    ):
        with pytest.raises(TypeError, match="no complex here"):
            call()
    assert len(store) == 0
    store["k"] = 1  # the pools are whole
    assert store["k"] == 1


def test_default_that_never_ends():
    with kivi.open("memory:", default=lambda value: value) as store:
        with pytest.raises(kivi.Unrepresentable, match="nested deeper|holds itself"):
            store["k"] = object()
    with kivi.open("memory:", default=lambda value: [value]) as store:
        with pytest.raises(kivi.Unrepresentable, match="nested deeper|holds itself"):
            store["k"] = {"a": object()}


def test_default_that_calls_the_store():
    def keep_aside(value):
        store["aside"] = repr(type(value))
        return store["aside"]

    with kivi.open("memory:", default=keep_aside) as store:
        store["k"] = [object(), {"x": object()}]
        assert store["k"] == ["<class 'object'>", {"x": "<class 'object'>"}]


def test_default_that_changes_the_container():
    for make, change in ((dict, lambda box: box.update(more=1)), (list, lambda box: box.clear())):
        box = make({"a": 1j, "b": 2, "c": 3})
        if isinstance(box, list):
            box = [1j, 2, 3]

        def changing(value, box=box, change=change):
            change(box)
            return None

        with kivi.open("memory:", default=changing) as store:
            with pytest.raises(RuntimeError, match="changed its size"):
                store["k"] = box
            assert "k" not in store


def test_what_ext_raises(open_store):
    def refuse(type, data):
        raise LookupError("no such type")

    store = open_store(ext=refuse)
    store["k"] = [kivi.Ext(1, b"x")]
    for call in (
        lambda: store["k"],
        lambda: store.get("k"),
        lambda: store.get_many(["k"]),
        lambda: store.get_versioned("k"),
        lambda: list(store.scan()),
        lambda: store.update_key("k", lambda now: now),
        lambda: store.get_or_set("k", lambda: 1),
    ):
        with pytest.raises(LookupError, match="no such type"):
            call()
    assert list(store.keys()) == ["k"]


def test_what_is_taken_and_cannot_be_read_stays(open_store):
    def refuse(type, data):
        raise LookupError("no such type")

    store = open_store(ext=refuse)
    store["k"] = kivi.Ext(5, b"x")
    with pytest.raises(LookupError) as caught:
        store.take("k")
    assert caught.value.stored == b"\xd4\x05x" and "k" in store
    store["k"] = {(1, 2): 3}
    with pytest.raises(kivi.Unrepresentable) as caught:
        store.pop("k")
    assert caught.value.stored == b"\x81\x92\x01\x02\x03" and "k" in store


def test_ext_that_calls_the_store(open_store):
    def look_up(type, data):
        return store[data]

    store = open_store(ext=look_up)
    store["deep"] = {"found": [1, 2]}
    store["k"] = [kivi.Ext(1, b"deep"), {"x": kivi.Ext(1, b"deep")}]
    assert store["k"] == [{"found": [1, 2]}, {"x": {"found": [1, 2]}}]
    assert dict(store.scan())["k"] == store["k"]


def page_of_a_store_that_is_gone(in_a_circle):
    kept = []

    def tell(type, data):
        return data, len(kept)

    store = kivi.open("memory:", ext=tell)
    if in_a_circle:
        kept.append(store)
    store["k"] = kivi.Ext(1, b"x")
    return store.page()


@pytest.mark.parametrize("in_a_circle", [False, True])
def test_a_page_outlives_its_store(in_a_circle):
    page = page_of_a_store_that_is_gone(in_a_circle)
    for _ in range(3):
        gc.collect()
    assert list(page) == [("k", (b"x", int(in_a_circle)))]


def test_ext_that_closes_the_store():
    def close(type, data):
        store.close()
        return 1

    with kivi.open("memory:", ext=close) as store:
        store["k"] = [kivi.Ext(1, b"x"), 2]
        assert store["k"] == [1, 2]
        with pytest.raises(kivi.Closed):
            store["k"]


def test_what_computations_raise(store):
    store["k"] = 1

    class Stop(BaseException):
        pass

    def stop(*arguments):
        raise Stop("here")

    for _ in range(3):
        with pytest.raises(Stop, match="here"):
            store.update_key("k", stop)
        with pytest.raises(Stop, match="here"):
            store.get_or_set("x", stop)
        with pytest.raises(Stop, match="here"):
            kivi.copy(store, "memory:", progress=stop)
    assert dict(store.items()) == {"k": 1}


def test_a_computation_that_calls_the_store(store):
    assert store.get_or_set("a", lambda: store.get_or_set("b", lambda: 5)) == 5
    assert store.update_key("a", lambda now: now + store.increment("n")) == 6
    assert dict(store.items()) == {"a": 6, "b": 5, "n": 1}


def test_a_finaliser_that_calls_the_store(open_store):
    """The garbage collector may run anywhere in a conversion."""
    store = open_store()
    store["k"] = [{"n": [i]} for i in range(200)]

    class Last:
        def __init__(self):
            self.me = self

        def __del__(self):
            store["last"] = store.get("k")[3]
            ran.append(1)

    ran = []
    old = gc.get_threshold()
    gc.set_threshold(5, 1, 1)
    try:
        for _ in range(30):
            Last()
            assert len(store["k"]) == 200 and store.get_many(["k"])["k"][7] == {"n": [7]}
            store["k"] = [{"n": [i]} for i in range(200)]
            assert len(dict(store.scan())["k"]) == 200
    finally:
        gc.set_threshold(*old)
    gc.collect()
    assert len(ran) == 30 and store["last"] == {"n": [3]}


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2020, 1, 1),
        2**70,
        -(2**70),
        "\ud800",
        {1},
        datetime.date(2020, 1, 1),
        {"\ud800": 1},
        {2**70: 1},
        {frozenset(): 1},
        [[2**64]],
    ],
    ids=repr,
)
def test_default_is_asked_for_all_that_cannot_be_stored(value):
    asked = []

    def default(object):
        asked.append(object)
        return "by default"

    with kivi.open("memory:", default=default) as store:
        store["k"] = value
        assert len(asked) in (1, 2)  # keys of a dict may be looked at twice
        assert "by default" in repr(store["k"])
    with kivi.open("memory:") as store, pytest.raises(kivi.Unrepresentable):
        store["k"] = value


def test_default_that_gives_the_same_back_ends():
    for value in (2**70, "\ud800", datetime.datetime(2020, 1, 1)):
        with kivi.open("memory:", default=lambda same: same) as store, pytest.raises(kivi.Unrepresentable):
            store["k"] = value
