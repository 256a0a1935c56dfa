"""What mypy and pyright must know of kivi, and what they must refuse: each `type: ignore` here would be an error if unused."""
import dataclasses
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any, Optional, Union

from typing_extensions import assert_type

import kivi
import kivi.aio


@dataclasses.dataclass
class Point:
    x: int
    y: int


def plain(store: kivi.Store) -> None:
    mapping: MutableMapping[str, Any] = store
    mapping["a"] = 1
    assert_type(store.get("a", type=Point), Optional[Point])
    assert_type(store.get("a", 0, type=Point), Union[Point, int])
    assert_type(store.get(b"a", type=list[int]), Optional[list[int]])
    assert_type(store.get_many(["a"]), dict[str, Any])
    assert_type(store.get_many([b"a"]), dict[bytes, Any])
    assert_type(store.add("a", 1, ttl=0.5), bool)
    assert_type(store.set("a", 1, ttl=kivi.KEEP, timeout=timedelta(seconds=1)), None)
    assert_type(store.increment("a"), int)
    assert_type(store.ttl("a"), Optional[float])
    assert_type(store.apply([{"op": "check", "key": "a"}])[0], kivi.Result)
    for key, value, seconds in store.scan(ttl=True):
        assert_type(seconds, Optional[float])
    assert_type(kivi.copy(store, "memory:").cursor, Optional[bytes])
    store.get(1)  # type: ignore[call-overload]  # pyright: ignore
    store.set("a", 1, ttl="soon")  # type: ignore[arg-type]  # pyright: ignore
    store.set("a", 1, 60)  # type: ignore[call-arg]  # pyright: ignore
    store.lenght()  # type: ignore[attr-defined]  # pyright: ignore
    store.url = "memory:"  # type: ignore[misc]  # pyright: ignore


async def awaited(store: kivi.aio.Store) -> None:
    assert_type(await store.get("a", type=Point), Optional[Point])
    assert_type(await store.increment("a"), int)
    assert_type([key async for key in store.keys("a")], list[Any])
    async for key, value in store.scan():
        await store.delete(key)
    len(store)  # type: ignore[arg-type]  # pyright: ignore
    store["a"]  # type: ignore[index]  # pyright: ignore


def caught() -> Optional[str]:
    try:
        kivi.open("memory:", timeout=1, namespace="a", sync=False)
    except kivi.Timeout as error:
        timeout: TimeoutError = error
        return f"{timeout}: {error.status}, {error.message}"
    except kivi.NotFound as error:
        missing: KeyError = error
        return str(missing)
    return None
