import logging
from collections.abc import Callable

from kivi.values import Event

def to(logger: str | logging.Logger = "kivi", *, slow: float | None = None) -> Callable[[Event], None]: ...
