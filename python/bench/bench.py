#!/usr/bin/env python3
"""Measures kivi beside the libraries that a Python program would use instead, in rounds that alternate.

    python/bench/bench.py [--rows PATTERN,...] [--rounds N] [--quick] [--list] [--results FILE]

kivi must be importable (`. build/release/env.sh`). Prints a table; with --results appends a JSON line for each row, as tests/bench
does. A peer that is not installed is said, and its row left out. Redis is one that the bench starts.
"""
import argparse
import fnmatch
import json
import math
import statistics
import sys
import tempfile
import time

import rows
import servers
from row import Missing


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", default="*", help="patterns of names, with commas between")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="only that it runs: short rounds")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--results", help="a file to append JSON lines to")
    return parser.parse_args()


def fitting_count(side, seconds):
    """How many operations take about so long."""
    count = 1
    while True:
        took = side(count)
        if took > seconds / 4 or count > 50_000_000:
            return max(1, int(count * seconds / max(took, 1e-9)))
        count *= 4


def measure(row, rounds, seconds):
    """The medians of both sides in nanoseconds an operation, and the median of the rounds' ratios."""
    counts = [fitting_count(side, seconds) for side in (row.peer_side, row.own_side)]
    peer, ours, ratios = [], [], []
    for number in range(rounds):
        took = {}
        order = ("peer", "own") if number % 2 == 0 else ("own", "peer")
        for which in order:
            side, count = (row.peer_side, counts[0]) if which == "peer" else (row.own_side, counts[1])
            took[which] = side(count) / count * 1e9
        peer.append(took["peer"])
        ours.append(took["own"])
        ratios.append(took["peer"] / took["own"] if row.ratio_of == "ops" else took["own"] / took["peer"])
    ratios.sort()
    return {
        "rounds": rounds,
        "iterations": counts[1],
        "peer_ns": round(statistics.median(peer), 2),
        "ours_ns": round(statistics.median(ours), 2),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_low": round(ratios[len(ratios) // 4], 4),
        "ratio_high": round(ratios[min(len(ratios) - 1, math.ceil(len(ratios) * 3 / 4))], 4),
    }


def report_of(row, found):
    line = {"kind": "row", "row": row.name, "title": row.title, "peer": row.peer, **found, "ratio_of": row.ratio_of}
    if row.target:
        reached = found["ratio"] >= row.target if row.ratio_of == "ops" else found["ratio"] <= row.target
        line.update(target=row.target, reached=reached)
    return line


def duration(ns):
    for unit, size in (("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.2f} {unit}"
    return f"{ns:.1f} ns"


def print_row(line):
    goal, verdict = "", ""
    if "target" in line:
        goal = f"{'>=' if line['ratio_of'] == 'ops' else '<='} {line['target']:.2f}x"
        verdict = "reached" if line["reached"] else "SHORT"
    spread = f"{line['ratio_low']:.2f}-{line['ratio_high']:.2f}"
    print(f"{line['row']:<24} {duration(line['peer_ns']):>10} {duration(line['ours_ns']):>10} {line['ratio']:7.2f}x "
          f"{spread:>13} {goal:>9}  {verdict:<8} {line['title']}; {line['peer']} ({line['ratio_of']})", flush=True)


def print_fact(fact):
    verdict = "reached" if fact["reached"] else "SHORT"
    print(f"{fact['row']:<24} {fact['value']:.3g} {fact['unit']} (at most {fact['target']:g}: {verdict})  "
          f"{fact['title']}; {fact['note']}", flush=True)


def main():
    settings = parse()
    patterns = settings.rows.split(",")
    wanted = [row for row in rows.ALL if any(fnmatch.fnmatch(row.name, pattern) for pattern in patterns)]
    facts = [fact for fact in rows.FACTS if any(fnmatch.fnmatch(fact.name, pattern) for pattern in patterns)]
    if settings.list:
        for row in [*wanted, *facts]:
            print(row.name)
        return 0
    out = open(settings.results, "a", encoding="utf-8") if settings.results else None
    rounds, seconds = (2, 0.01) if settings.quick else (settings.rounds, 0.3)
    missing = 0
    print(f"{'row':<24} {'peer':>10} {'libkivi':>10} {'ratio':>8} {'quartiles':>13} {'target':>9}")
    with tempfile.TemporaryDirectory(prefix="kivi-bench-") as folder, servers.Redis(folder) as redis:
        for make in wanted:
            try:
                row = make(folder, redis)
            except Missing as reason:
                missing += 1
                print(f"{make.name:<24} not measured: {reason}", flush=True)
                continue
            try:
                line = report_of(row, measure(row, rounds, seconds))
            finally:
                row.close()
            print_row(line)
            if out:
                out.write(json.dumps(line) + "\n")
                out.flush()
        for fact in facts:
            line = fact(settings.quick)
            print_fact(line)
            if out:
                out.write(json.dumps(line) + "\n")
    if out:
        out.close()
    if missing:
        print(f"{missing} rows were not measured: their peers are missing (python/bench/requirements.txt)")
    return 0


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(code)
