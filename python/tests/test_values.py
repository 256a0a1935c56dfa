"""Values there and back, what is refused and how it is said."""
import datetime
import enum
import math
import sys

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import kivi

UTC = datetime.timezone.utc


def same(a, b):
    """Equal in value and type, all the way down; a NaN is itself, 0.0 is not -0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(map(same, a, b)) and all(same(a[k], b[k]) for k in a)
    return a == b


def back(store, value):
    store["k"] = value
    return store["k"]


VALUES = [
    None, True, False, 0, 1, -1, 127, 128, 255, 256, -32, -33, -128, -129, 65535, 65536, 2**31, 2**32,
    2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0.0, -0.0, 1.5, float("inf"), float("-inf"), 5e-324,
    "", "a", "é", "\U0001f600", "\0", "x" * 31, "x" * 32, "x" * 255, "x" * 256, "x" * 65536,
    b"", b"\0\xff", b"x" * 256, b"x" * 70000, [], [[]], [1, "a", None], list(range(16)), list(range(70000)),
    {}, {"a": {"b": [1, {"c": None}]}}, {2: 2, None: 4},
    {b"x": 3, 2.5: 6, True: 7, -3: 1, 2**64 - 1: 0}, {f"key{i}": i for i in range(70)},
    datetime.datetime(1970, 1, 1, tzinfo=UTC), datetime.datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
    datetime.datetime(1, 1, 1, tzinfo=UTC), datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime.datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC), {datetime.datetime(2000, 1, 1, tzinfo=UTC): 1},
    kivi.Ext(5, b"abc"), kivi.Ext(-128, b""), kivi.Ext(127, b"x" * 300), kivi.Ext(-2, b"1234"),
    kivi.Timestamp(5, 1), kivi.Timestamp(-(2**63), 999), kivi.Timestamp(2**63 - 1, 1),
    kivi.Timestamp(2**40, 0), {kivi.Ext(1, b"k"): [kivi.Timestamp(0, 1)]},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda v: repr(v)[:40])
def test_there_and_back(memory, value):
    assert same(back(memory, value), value)


def test_there_and_back_in_every_store(store):
    store.set_many({f"k{i}": value for i, value in enumerate(VALUES)})
    for i, value in enumerate(VALUES):
        assert same(store[f"k{i}"], value)
    found = dict(store.items())
    assert all(same(found[f"k{i}"], value) for i, value in enumerate(VALUES))


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.just(UTC))
)
keys = st.none() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary() | st.floats(allow_nan=False)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=30
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
@example(value={"": {"": [[], {}]}})
def test_any_value(memory, value):
    assert same(back(memory, value), value)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
def test_any_value_is_what_msgpack_says(memory, value):
    """Written in a map, in a list and alone, a value is the same, and compare_and_set knows it."""
    memory["k"] = value
    assert memory.compare_and_set("k", value, [value, {"in": value}])
    assert same(memory["k"], [value, {"in": value}])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60))
@example(data=b"\xc1")
@example(data=b"\xdf\xff\xff\xff\xff")
@example(data=b"\xdd\xff\xff\xff\xff\x01")
@example(data=b"\x82\x01\x02\xcb\x3f\xf0\0\0\0\0\0\0\x02")
def test_hostile_bytes(hostile, data):
    raw, store = hostile
    raw["k"] = data
    try:
        store["k"]
    except (kivi.Corrupt, kivi.Unrepresentable):
        pass


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """One LMDB file as two codecs: what is written as bytes is read as a value."""
    path = tmp_path_factory.mktemp("hostile") / "h.mdb"
    with kivi.open(f"lmdb:{path}?sync=false") as first:
        first["first"] = 1
    with kivi.open(f"lmdb:{path}?sync=false", codec="raw") as raw, kivi.open(f"lmdb:{path}?sync=false") as store:
        yield raw, store


def test_types_by_their_base(memory):
    class Level(enum.IntEnum):
        HIGH = 3

    class Text(str):
        pass

    class Fields(dict):
        pass

    class Items(list):
        pass

    class Real(float):
        pass

    class Row(tuple):
        pass

    class Data(bytes):
        pass

    given_value = [Level.HIGH, Text("a"), Fields(a=1), Items([1]), Real(1.5), Row((1, 2)), Data(b"x")]
    assert same(back(memory, given_value), [3, "a", {"a": 1}, [1], 1.5, [1, 2], b"x"])
    assert same(back(memory, {Text("a"): 1, Level.HIGH: 2}), {"a": 1, 3: 2})


def test_tuples_and_buffers(memory):
    assert back(memory, (1, (2,))) == [1, [2]]
    assert back(memory, bytearray(b"ab")) == b"ab"
    assert back(memory, memoryview(b"abcdef")[::2]) == b"ace"


def test_times_of_other_zones(memory):
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    assert same(
        back(memory, datetime.datetime(2024, 1, 1, 5, 30, tzinfo=zone)),
        datetime.datetime(2024, 1, 1, tzinfo=UTC),
    )
    assert same(back(memory, kivi.Timestamp(1, 5000)), datetime.datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))


def itself():
    box = []
    box.append(box)
    return box


def in_a_circle():
    value = {"a": {"b": [1, 2]}}
    value["a"]["b"].append(value)
    return value


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


class Odd:
    pass


class Timeless(datetime.tzinfo):
    def utcoffset(self, when):
        return None


def test_keys_that_are_looked_at_for_repeats_may_nest():
    with kivi.open("memory:", pairs=True) as store:
        store["k"] = {(1, (2, (3,))): 1, b"x": 2}
        assert store["k"] == kivi.Pairs([([1, [2, [3]]], 1), (b"x", 2)])



@pytest.mark.parametrize(
    "value, text",
    [
        (2**64, "value: an int beyond 64 bits"),
        (-(2**63) - 1, "value: an int beyond 64 bits"),
        ({"users": [0, {"id": {1, 2}}]}, "value.users[1].id: a set cannot"),
        ([[[2**70]]], "value[0][0][0]: an int"),
        ({"a b": [Odd()]}, 'value["a b"][0]: a Odd cannot'),
        ({"\x9b\u202e": Odd()}, r'value["\xc2\x9b\xe2\x80\xae"]: a Odd cannot'),
        ({"é" * 30: Odd()}, 'value["' + "é" * 20 + '"]: a Odd cannot'),
        ({5: frozenset()}, 'value["5"]: a frozenset'),
        ({(1, 2): 3}, None),
        ({"t": datetime.datetime(2020, 1, 1)}, "value.t: a datetime without a time zone"),
        (datetime.datetime(2020, 1, 1, tzinfo=Timeless()), "value: a datetime without a time zone"),
        (datetime.date(2020, 1, 1), "value: a datetime.date cannot"),
        (datetime.timedelta(1), "value: a datetime.timedelta cannot"),
        (1j, "value: a complex cannot"),
        (range(3), "value: a range cannot"),
        ("\ud800", "value: a str with lone surrogates"),
        ({"\udfff": 1}, "lone surrogates"),
        (itself(), "a container that holds itself"),
        (in_a_circle(), "a container that holds itself"),
        (deep(129), "nested deeper than 128"),
        (kivi.Pairs([(1, 2), (1, 3)]), "this key is there twice"),
        (kivi.Pairs([1]), "value[0]: kivi.Pairs holds tuples"),
        ({float("nan"): 1, -float("nan"): 2, float("nan"): 3}, "this key is there twice"),
        (object(), "value: a object cannot"),
    ],
    ids=lambda v: repr(v)[:40],
)
def test_what_cannot_be_stored(memory, value, text):
    memory["k"] = "before"
    if text is None:  # a tuple is an array: a key in msgpack, though no dict comes back
        memory["k"] = value
        with pytest.raises(kivi.Unrepresentable, match="a key of this map is an array"):
            memory["k"]
        return
    for write in (memory.set, memory.add):
        with pytest.raises(kivi.Unrepresentable) as caught:
            write("k", value)
        assert text in str(caught.value)
    with pytest.raises(kivi.Unrepresentable) as caught:
        memory.set_many({"a": 1, "k": value})
    assert text.replace("value", "value.k") in str(caught.value)
    with pytest.raises(kivi.Unrepresentable) as caught:
        memory.apply([{"op": "delete", "key": "a"}, {"op": "set", "key": "k", "value": value}])
    assert text.replace("value", "value[1].value") in str(caught.value)
    assert isinstance(caught.value, (TypeError, ValueError)) and dict(memory.items()) == {"k": "before"}


def test_depth_that_is_taken(memory):
    assert back(memory, deep(127)) == deep(127)
    assert back(memory, deep(128)) == deep(128)


def test_what_a_dict_would_merge(open_store):
    plain, pairs = open_store(), open_store(pairs=True)
    if plain.scheme == "memory":
        plain = pairs
    value = {"in": kivi.Pairs([(1, "int"), (1.0, "float"), (True, "bool"), ([1], "list"), ({}, "map")])}
    pairs["k"] = value
    got = pairs["k"]
    assert type(got) is kivi.Pairs and got[0][0] == "in" and type(got[0][1]) is kivi.Pairs
    assert [(type(key), text) for key, text in got[0][1]] == [
        (int, "int"), (float, "float"), (bool, "bool"), (list, "list"), (kivi.Pairs, "map")
    ]  # fmt: skip
    assert repr(got[0][1]).startswith("kivi.Pairs([(1, 'int'),")
    if plain is not pairs:
        with pytest.raises(kivi.Unrepresentable, match=r"value.in\[\"1.0\"\]: a dict would merge"):
            plain["k"]
        pairs["k"] = kivi.Pairs([([1], 2)])
        with pytest.raises(kivi.Unrepresentable, match="a key of this map is an array"):
            plain["k"]
        assert plain.exists("k")


def test_ext_and_timestamp_as_values():
    ext, moment = kivi.Ext(5, bytearray(b"ab")), kivi.Timestamp(1, 2)
    assert ext == kivi.Ext(5, b"ab") and ext != kivi.Ext(6, b"ab") and hash(ext) == hash(kivi.Ext(5, b"ab"))
    assert repr(ext) == "kivi.Ext(type=5, data=b'ab')"
    assert moment.to_ns() == 1_000_000_002 and kivi.Timestamp.from_ns(-1) == kivi.Timestamp(-1, 999_999_999)
    with pytest.raises(AttributeError):
        ext.type = 6
    for make in (lambda: kivi.Ext(128, b""), lambda: kivi.Ext(-1, b""), lambda: kivi.Timestamp(2**63),
                 lambda: kivi.Timestamp(0, 10**9)):  # fmt: skip
        with pytest.raises(ValueError):
            make()
    for make in (lambda: kivi.Ext("1", b""), lambda: kivi.Ext(True, b""), lambda: kivi.Timestamp(1.5)):
        with pytest.raises(TypeError):
            make()


def test_large_values(store):
    big = b"x" * 3_000_000
    store["k"] = {"big": big, "more": ["y" * 70_000] * 3}
    assert store["k"] == {"big": big, "more": ["y" * 70_000] * 3}


def test_json_and_raw(lmdb_url):
    with kivi.open(lmdb_url, codec="json") as store:
        store["k"] = {"a": [1, 2.5, None, True, "é"]}
        assert store["k"] == {"a": [1, 2.5, None, True, "é"]}
        big = {"list": list(range(3000)), "map": {str(i): i for i in range(3000)}}
        store["k"] = big
        assert store["k"] == big
    with kivi.open("memory:", codec="raw") as store:
        store["k"] = b"\x00\xff"
        assert store["k"] == b"\x00\xff"
        with pytest.raises(kivi.Unrepresentable):
            store["k"] = {"a": 1}


def test_names_of_maps_are_shared(memory):
    memory["k"] = [{"name": 1}, {"name": 2}]
    first, second = memory["k"]
    assert next(iter(first)) is next(iter(second))


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts of CPython")
def test_reference_counts(memory):
    value = {"word": object.__new__(Odd), "list": [1]}
    counts = [sys.getrefcount(value), sys.getrefcount(value["word"])]
    for _ in range(10):
        with pytest.raises(kivi.Unrepresentable):
            memory["k"] = value
    assert [sys.getrefcount(value), sys.getrefcount(value["word"])] == counts


def test_what_could_be_written_can_be_read():
    """One value beyond what a reader takes unasked: the store's own limit is the only one."""
    value = bytes((256 << 20) + 1)
    with kivi.open("memory:", max_value="300MiB") as store:
        store["k"] = value
        assert store["k"] == value
        assert store.get_many(["k"])["k"] == value
        assert [found == value for _, found in store.scan()] == [True]
        assert store.take("k") == value
