from collections.abc import Mapping
from typing import Any

from kivi.contrib.cachelib import KiviCache

def cache(app: Any, config: Mapping[str, Any], args: list[Any], options: dict[str, Any]) -> KiviCache: ...
