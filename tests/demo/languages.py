"""languages.c again, in Python: prints what was imported, then counts all languages and writes the counts back, typed.

usage: languages.py URL LANGUAGE COUNTRY
"""
import collections
import datetime
import sys

import kivi


def main(url, language, country):
    with kivi.open(url) as store:
        key = f"lang:{language}"
        print(key, store[key]["name"], store[key]["type"], sep="\t")
        for key, place in store.scan(f"place:{country}-"):
            print(key, place["name"], place["type"], sep="\t")

        began = datetime.datetime.now(datetime.timezone.utc)
        types = collections.Counter(value["type"] for value in store.values("lang:"))
        store["summary"] = {
            "types": dict(types),
            "share of living": types["L"] / sum(types.values()),
            "whole": 2**53 + 1,
            "began": began,
        }
        assert store["summary"]["began"] == began


if __name__ == "__main__":
    main(*sys.argv[1:])
