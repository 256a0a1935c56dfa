from collections.abc import Callable
from datetime import timedelta
from typing import Any

from kivi import aio as aio, errors as errors, values as values
from kivi._kivi import Page as Page
from kivi.errors import *
from kivi.locks import Lock as Lock
from kivi.memoize import cached as cached
from kivi.store import Store as Store, _Key, _Seconds  # pyright: ignore[reportPrivateUsage]
from kivi.values import (
    DELETE as DELETE,
    KEEP as KEEP,
    LEAVE as LEAVE,
    Copied as Copied,
    Event as Event,
    Ext as Ext,
    Pairs as Pairs,
    Result as Result,
    Timestamp as Timestamp,
)

__version__: str

def open(
    url: str,
    *,
    key_type: type[str] | type[bytes] = ...,
    default: Callable[[Any], Any] | None = None,
    ext: Callable[[int, bytes], Any] | None = None,
    pairs: bool = False,
    on_event: Callable[[Event], object] | None = None,
    **options: str | float | bool | timedelta,
) -> Store: ...
def copy(
    source: Store | str,
    target: Store | str,
    *,
    prefix: _Key = "",
    cursor: bytes | None = None,
    dry_run: bool = False,
    add_only: bool = False,
    expiry: bool = True,
    batch: int = 0,
    rate: int = 0,
    progress: Callable[[Copied], object] | None = None,
    timeout: _Seconds | None = None,
) -> Copied: ...
def stores() -> list[dict[str, Any]]: ...
def options(scheme: str) -> list[dict[str, Any]]: ...

__all__ = [
    "DELETE",
    "KEEP",
    "LEAVE",
    "Copied",
    "Event",
    "Ext",
    "Page",
    "Pairs",
    "Result",
    "Store",
    "Timestamp",
    "copy",
    "open",
    "options",
    "stores",
    "Error",
    "NotFound",
    "ConditionFailed",
    "Invalid",
    "Unsupported",
    "TooLarge",
    "WrongType",
    "Overflow",
    "Corrupt",
    "Unrepresentable",
    "Aborted",
    "Timeout",
    "Interrupted",
    "Cancelled",
    "Unavailable",
    "Uncertain",
    "Busy",
    "Denied",
    "Forked",
    "Closed",
    "NoMemory",
    "InputOutput",
    "Internal",
    "Unknown",
]
