"""Dataclasses in a store, read back as what they were: needs msgspec (pip install msgspec) or cattrs."""
import dataclasses
import sys
from typing import Any

import kivi


@dataclasses.dataclass
class Point:
    x: int
    y: int


def as_dict(value: Any) -> dict[str, Any]:
    """For objects that cannot be stored as they are."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"a {type(value).__name__} cannot be stored")
    return dataclasses.asdict(value)


def main(url: str = "memory:") -> None:
    with kivi.open(url, default=as_dict) as store:
        store["here"] = Point(1, 2)
        store["way"] = [Point(1, 2), Point(3, 4)]
        print(store["here"])                           # {'x': 1, 'y': 2}
        print(store.get("here", type=Point))           # Point(x=1, y=2)
        print(store.get("way", type=list[Point]))      # [Point(x=1, y=2), Point(x=3, y=4)]
        store["here"] = {"x": "one", "y": 2}
        try:
            store.get("here", type=Point)
        except kivi.Unrepresentable as error:          # and the value stays
            print(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
