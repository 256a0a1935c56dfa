from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from typing_extensions import Self

from kivi import _kivi
from kivi._kivi import Call as Call
from kivi.store import Store as _SyncStore, _Key, _Seconds, _Ttl  # pyright: ignore[reportPrivateUsage]
from kivi.values import Copied, Event, Result

_T = TypeVar("_T")
_D = TypeVar("_D")
_K = TypeVar("_K", bound=str | bytes)

class _Opening:
    def __init__(self, *arguments: Any) -> None: ...
    def __await__(self) -> Generator[Any, Any, Store]: ...
    async def __aenter__(self) -> Store: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        exception: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None: ...

def open(
    url: str,
    *,
    key_type: type[str] | type[bytes] = ...,
    default: Callable[[Any], Any] | None = None,
    ext: Callable[[int, bytes], Any] | None = None,
    pairs: bool = False,
    on_event: Callable[[Event], object] | None = None,
    **options: str | float | bool | timedelta,
) -> _Opening: ...

# A call is on its way when it is made; await it, or hand it to asyncio as a coroutine.
class Store(_kivi.Calls):
    @overload
    def get(
        self, key: _Key, default: None = None, *, type: None = None, timeout: _Seconds | None = None
    ) -> Call[Any | None]: ...
    @overload
    def get(
        self, key: _Key, default: _D, *, type: None = None, timeout: _Seconds | None = None
    ) -> Call[Any | _D]: ...
    @overload
    def get(
        self, key: _Key, default: None = None, *, type: type[_T], timeout: _Seconds | None = None
    ) -> Call[_T | None]: ...
    @overload
    def get(
        self, key: _Key, default: _D, *, type: type[_T], timeout: _Seconds | None = None
    ) -> Call[_T | _D]: ...
    @overload
    def get(
        self, key: _Key, default: Any = None, *, type: Any, timeout: _Seconds | None = None
    ) -> Call[Any]: ...
    def get_many(
        self, keys: Iterable[_K], *, type: Any = None, timeout: _Seconds | None = None
    ) -> Call[dict[_K, Any]]: ...
    def get_versioned(
        self, key: _Key, default: Any = None, *, timeout: _Seconds | None = None
    ) -> Call[tuple[Any, bytes | None]]: ...
    def exists(self, key: _Key, *, timeout: _Seconds | None = None) -> Call[bool]: ...
    def ttl(self, key: _Key, *, timeout: _Seconds | None = None) -> Call[float | None]: ...
    def set(
        self, key: _Key, value: Any, *, ttl: _Ttl = None, timeout: _Seconds | None = None
    ) -> Call[None]: ...
    def add(
        self, key: _Key, value: Any, *, ttl: _Ttl = None, timeout: _Seconds | None = None
    ) -> Call[bool]: ...
    def replace(
        self, key: _Key, value: Any, *, ttl: _Ttl = None, timeout: _Seconds | None = None
    ) -> Call[bool]: ...
    def delete(self, key: _Key, *, timeout: _Seconds | None = None) -> Call[bool]: ...
    def compare_and_set(
        self, key: _Key, old: Any, new: Any, *, ttl: _Ttl = None, timeout: _Seconds | None = None
    ) -> Call[bool]: ...
    def compare_and_delete(
        self, key: _Key, old: Any, *, timeout: _Seconds | None = None
    ) -> Call[bool]: ...
    def increment(
        self, key: _Key, by: int = 1, *, ttl: _Ttl = None, timeout: _Seconds | None = None
    ) -> Call[int]: ...
    def take(
        self, key: _Key, default: Any = None, *, type: Any = None, timeout: _Seconds | None = None
    ) -> Call[Any]: ...
    def get_and_expire(
        self, key: _Key, ttl: _Ttl, default: Any = None, *, timeout: _Seconds | None = None
    ) -> Call[Any]: ...
    def expire(self, key: _Key, ttl: _Ttl, *, timeout: _Seconds | None = None) -> Call[bool]: ...
    def persist(self, key: _Key, *, timeout: _Seconds | None = None) -> Call[bool]: ...
    async def update_key(
        self,
        key: _Key,
        function: Callable[[Any], Any],
        *,
        ttl: _Ttl = None,
        timeout: _Seconds | None = None,
    ) -> Any: ...
    async def get_or_set(
        self,
        key: _Key,
        function: Callable[[], Any],
        *,
        ttl: _Ttl = None,
        timeout: _Seconds | None = None,
        lease: _Seconds | None = None,
    ) -> Any: ...
    def set_many(
        self,
        pairs: Mapping[Any, Any] | Iterable[tuple[Any, Any]],
        *,
        ttl: _Ttl = None,
        timeout: _Seconds | None = None,
    ) -> Call[None]: ...
    def delete_many(self, keys: Iterable[_Key], *, timeout: _Seconds | None = None) -> Call[int]: ...
    def apply(
        self,
        ops: Iterable[dict[str, Any]],
        atomic: bool = False,
        *,
        timeout: _Seconds | None = None,
    ) -> Call[list[Result]]: ...
    def page(
        self,
        prefix: _Key | None = "",
        *,
        after: _Key | None = None,
        cursor: bytes | None = None,
        limit: int = 0,
        keys: bool = False,
        ttl: bool = False,
        timeout: _Seconds | None = None,
    ) -> Call[_kivi.Page]: ...
    def count(self, prefix: _Key | None = "", *, timeout: _Seconds | None = None) -> Call[int]: ...
    def clear(
        self, prefix: _Key | None = "", *, all: bool = False, timeout: _Seconds | None = None
    ) -> Call[int]: ...
    def capabilities(self) -> Call[dict[str, Any]]: ...
    def stats(self) -> Call[dict[str, Any]]: ...
    def health(self, *, timeout: _Seconds | None = None) -> Call[dict[str, Any]]: ...
    async def pop(
        self, key: _Key, default: Any = ..., *, type: Any = None, timeout: _Seconds | None = None
    ) -> Any: ...
    async def popitem(self) -> tuple[Any, Any]: ...
    async def setdefault(
        self, key: _Key, default: Any = None, *, ttl: _Ttl = None, timeout: _Seconds | None = None
    ) -> Any: ...
    async def update(
        self, other: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = (), /, **more: Any
    ) -> None: ...
    def keys(
        self,
        prefix: _Key = "",
        *,
        after: _Key | None = None,
        cursor: bytes | None = None,
        limit: int | None = None,
        ttl: bool = False,
        timeout: _Seconds | None = None,
    ) -> AsyncGenerator[Any, None]: ...
    def items(
        self, prefix: _Key = "", *, cursor: bytes | None = None, type: Any = None, timeout: _Seconds | None = None
    ) -> AsyncGenerator[tuple[Any, Any], None]: ...
    def values(
        self, prefix: _Key = "", *, cursor: bytes | None = None, timeout: _Seconds | None = None
    ) -> AsyncGenerator[Any, None]: ...
    @overload
    def scan(
        self,
        prefix: _Key = "",
        *,
        after: _Key | None = None,
        cursor: bytes | None = None,
        limit: int | None = None,
        ttl: Literal[False] = False,
        type: Any = None,
        timeout: _Seconds | None = None,
    ) -> AsyncGenerator[tuple[Any, Any], None]: ...
    @overload
    def scan(
        self,
        prefix: _Key = "",
        *,
        after: _Key | None = None,
        cursor: bytes | None = None,
        limit: int | None = None,
        ttl: Literal[True],
        type: Any = None,
        timeout: _Seconds | None = None,
    ) -> AsyncGenerator[tuple[Any, Any, float | None], None]: ...
    def __aiter__(self) -> AsyncIterator[Any]: ...
    @property
    def url(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def codec(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    async def close(self) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        exception: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None: ...
    def __del__(self, warn: Callable[..., object] = ...) -> None: ...

async def copy(
    source: Store | _SyncStore | str,
    target: Store | _SyncStore | str,
    *,
    progress: Callable[[Copied], object] | None = None,
    prefix: _Key = "",
    cursor: bytes | None = None,
    dry_run: bool = False,
    add_only: bool = False,
    expiry: bool = True,
    batch: int = 0,
    rate: int = 0,
    timeout: _Seconds | None = None,
) -> Copied: ...

__all__ = ["Call", "Store", "copy", "open"]
