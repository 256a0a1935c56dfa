from collections.abc import (
    Callable,
    Generator,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    MutableMapping,
    ValuesView,
)
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from typing_extensions import Self, TypeAlias

from kivi import _kivi
from kivi.values import Copied, Result, Word

_T = TypeVar("_T")
_D = TypeVar("_D")
_K = TypeVar("_K", bound=str | bytes)

# For all stubs of the package; private, since no module has them at run time.
_Key: TypeAlias = str | bytes
_Seconds: TypeAlias = float | timedelta
_Ttl: TypeAlias = _Seconds | Word | Literal["keep"] | None

def pages(
    store: Store, prefix: _Key | None, after: _Key | None, cursor: bytes | None, limit: int | None, **how: Any
) -> Iterator[_kivi.Page]: ...
def pairs_of(other: Any) -> list[tuple[Any, Any]]: ...
def check_limit(limit: int | None) -> None: ...

# Values are Any, and so are keys on their way out: str, or bytes where they are no UTF-8.
class Store(_kivi.Mapping, MutableMapping[Any, Any]):
    @overload
    def get(
        self, key: _Key, default: None = None, *, type: None = None, timeout: _Seconds | None = None
    ) -> Any | None: ...
    @overload
    def get(
        self, key: _Key, default: _D, *, type: None = None, timeout: _Seconds | None = None
    ) -> Any | _D: ...
    @overload
    def get(
        self, key: _Key, default: None = None, *, type: type[_T], timeout: _Seconds | None = None
    ) -> _T | None: ...
    @overload
    def get(
        self, key: _Key, default: _D, *, type: type[_T], timeout: _Seconds | None = None
    ) -> _T | _D: ...
    @overload
    def get(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, key: _Key, default: Any = None, *, type: Any, timeout: _Seconds | None = None
    ) -> Any: ...
    def get_many(
        self, keys: Iterable[_K], *, type: Any = None, timeout: _Seconds | None = None
    ) -> dict[_K, Any]: ...
    def get_versioned(
        self, key: _Key, default: Any = None, *, timeout: _Seconds | None = None
    ) -> tuple[Any, bytes | None]: ...
    def exists(self, key: _Key, *, timeout: _Seconds | None = None) -> bool: ...
    def ttl(self, key: _Key, *, timeout: _Seconds | None = None) -> float | None: ...
    def set(
        self, key: _Key, value: Any, *, ttl: _Ttl = None, timeout: _Seconds | None = None
    ) -> None: ...
    def add(
        self, key: _Key, value: Any, *, ttl: _Ttl = None, timeout: _Seconds | None = None
    ) -> bool: ...
    def replace(
        self, key: _Key, value: Any, *, ttl: _Ttl = None, timeout: _Seconds | None = None
    ) -> bool: ...
    def delete(self, key: _Key, *, timeout: _Seconds | None = None) -> bool: ...
    def compare_and_set(
        self, key: _Key, old: Any, new: Any, *, ttl: _Ttl = None, timeout: _Seconds | None = None
    ) -> bool: ...
    def compare_and_delete(
        self, key: _Key, old: Any, *, timeout: _Seconds | None = None
    ) -> bool: ...
    def increment(
        self, key: _Key, by: int = 1, *, ttl: _Ttl = None, timeout: _Seconds | None = None
    ) -> int: ...
    def take(
        self, key: _Key, default: Any = None, *, type: Any = None, timeout: _Seconds | None = None
    ) -> Any: ...
    def get_and_expire(
        self, key: _Key, ttl: _Ttl, default: Any = None, *, timeout: _Seconds | None = None
    ) -> Any: ...
    def expire(self, key: _Key, ttl: _Ttl, *, timeout: _Seconds | None = None) -> bool: ...
    def persist(self, key: _Key, *, timeout: _Seconds | None = None) -> bool: ...
    def update_key(
        self,
        key: _Key,
        function: Callable[[Any], Any],
        *,
        ttl: _Ttl = None,
        timeout: _Seconds | None = None,
    ) -> Any: ...
    def get_or_set(
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
    ) -> None: ...
    def delete_many(self, keys: Iterable[_Key], *, timeout: _Seconds | None = None) -> int: ...
    def apply(
        self,
        ops: Iterable[dict[str, Any]],
        atomic: bool = False,
        *,
        timeout: _Seconds | None = None,
    ) -> list[Result]: ...
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
    ) -> _kivi.Page: ...
    def count(self, prefix: _Key | None = "", *, timeout: _Seconds | None = None) -> int: ...
    def clear(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        self, prefix: _Key | None = "", *, all: bool = False, timeout: _Seconds | None = None
    ) -> int: ...
    def copy_to(
        self,
        target: Store,
        progress: Callable[[Copied], object] | None,
        prefix: _Key | None = "",
        cursor: bytes | None = None,
        dry_run: bool = False,
        add_only: bool = False,
        no_expiry: bool = False,
        batch: int = 0,
        rate: int = 0,
        timeout: _Seconds | None = None,
    ) -> Copied: ...
    def capabilities(self) -> dict[str, Any]: ...
    def stats(self) -> dict[str, Any]: ...
    def health(self, *, timeout: _Seconds | None = None) -> dict[str, Any]: ...
    def close(self) -> None: ...
    def pop(
        self, key: _Key, default: Any = ..., *, type: Any = None, timeout: _Seconds | None = None
    ) -> Any: ...
    def popitem(self) -> tuple[Any, Any]: ...
    def setdefault(
        self, key: _Key, default: Any = None, *, ttl: _Ttl = None, timeout: _Seconds | None = None
    ) -> Any: ...
    def update(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        self, other: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = (), /, **more: Any
    ) -> None: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def keys(
        self,
        prefix: _Key = "",
        *,
        after: _Key | None = None,
        cursor: bytes | None = None,
        limit: int | None = None,
        ttl: bool = False,
        timeout: _Seconds | None = None,
    ) -> KeysView[Any]: ...
    def items(
        self, prefix: _Key = "", *, cursor: bytes | None = None, type: Any = None, timeout: _Seconds | None = None
    ) -> ItemsView[Any, Any]: ...
    def values(
        self, prefix: _Key = "", *, cursor: bytes | None = None, timeout: _Seconds | None = None
    ) -> ValuesView[Any]: ...
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
    ) -> Generator[tuple[Any, Any], None, None]: ...
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
    ) -> Generator[tuple[Any, Any, float | None], None, None]: ...
    @property
    def url(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def codec(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        exception: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None: ...
