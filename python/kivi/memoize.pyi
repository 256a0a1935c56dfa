from collections.abc import Callable
from typing import Any, TypeVar

from kivi import aio
from kivi.store import Store, _Seconds, _Ttl  # pyright: ignore[reportPrivateUsage]
from kivi.values import LEAVE as LEAVE

_F = TypeVar("_F", bound=Callable[..., Any])

def cached(
    store: Store | aio.Store,
    *,
    ttl: _Ttl = None,
    key: Callable[..., str | bytes] | None = None,
    lease: _Seconds | None = None,
) -> Callable[[_F], _F]: ...

__all__ = ["LEAVE", "cached"]
