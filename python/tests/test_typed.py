"""Reading as a type."""
import dataclasses
import sys
import typing

import pytest

import kivi
import kivi.typed


@dataclasses.dataclass
class Point:
    x: int
    y: float
    tags: typing.List[str] = dataclasses.field(default_factory=list)


class Row(typing.TypedDict):
    id: int
    name: str


@pytest.fixture(params=["msgspec", "cattrs"])
def library(request, monkeypatch):
    monkeypatch.setattr(kivi.typed, "_structure", getattr(kivi.typed, f"_by_{request.param}")())
    return request.param


def test_typed_reading(store, library):
    store["p"] = {"x": 1, "y": 2.5, "tags": ["a"]}
    store["r"] = {"id": 1, "name": "x"}
    assert store.get("p", type=Point) == Point(1, 2.5, ["a"])
    assert store.get("r", type=Row) == {"id": 1, "name": "x"}
    assert store.get("x", type=Point) is None and store.get("x", 7, type=Point, timeout=1) == 7
    assert store.get("p", type=None) == {"x": 1, "y": 2.5, "tags": ["a"]}


def test_what_is_no_such_type(store, library):
    store["p"] = {"x": "one", "tags": 5}
    with pytest.raises(kivi.Unrepresentable, match="value: not a Point"):
        store.get("p", type=Point)


def test_dataclasses_are_written_by_default():
    import msgspec

    with kivi.open("memory:", default=msgspec.to_builtins) as store:
        store["p"] = Point(1, 2.5, ["a"])
        assert store["p"] == {"x": 1, "y": 2.5, "tags": ["a"]}
        assert store.get("p", type=Point) == Point(1, 2.5, ["a"])


def test_neither_library_is_there(memory, monkeypatch):
    monkeypatch.setattr(kivi.typed, "_structure", None)
    for name in ("msgspec", "cattrs"):
        monkeypatch.setitem(sys.modules, name, None)
    memory["p"] = {"x": 1, "y": 2.5}
    with pytest.raises(ImportError, match="msgspec or cattrs"):
        memory.get("p", type=Point)
