"""A few calls on any store: python hello.py [URL], where the URL is memory: if none is given."""
import sys

import kivi


def main(url: str = "memory:") -> None:
    with kivi.open(url) as store:
        store["user:1"] = {"name": "Ada", "langs": ["en", "fr"]}
        store.set("session:9", "open", ttl=60)
        visits = store.increment("visits")
        print(store["user:1"]["name"], "speaks", " and ".join(store["user:1"]["langs"]))
        print("the session ends in", round(store.ttl("session:9") or 0), "seconds; visits:", visits)
        print("keys:", *store.keys())


if __name__ == "__main__":
    main(*sys.argv[1:])
