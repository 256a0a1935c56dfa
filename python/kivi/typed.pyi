from typing import Any, TypeVar

_T = TypeVar("_T")

def convert(value: Any, type: type[_T]) -> _T: ...
