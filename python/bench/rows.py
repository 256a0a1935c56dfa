"""All rows of the bench."""
import asyncio_rows  # noqa: F401 - they add themselves
import embedded_rows  # noqa: F401
import redis_rows  # noqa: F401
from facts import FACTS
from row import ALL

__all__ = ["ALL", "FACTS"]
