"""Checks that the contract is proved as tests/conformance/CONTRACT.md says: every point of libkivi/docs/contract.md has
a row there, every row names a case or a test, and all that is named exists.
Prints TAP.

usage: contract.py SOURCE BUILD
"""

import os
import re
import subprocess
import sys

PROMISES = "libkivi/docs/contract.md"
PROOFS = "tests/conformance/CONTRACT.md"


def tell(passed, name, said=""):
    if not passed and said:
        print(said)
    print(f"{'ok' if passed else 'not ok'} - docs: {name}", flush=True)


def read_points(text):
    """The anchors of all points, and the points that have none."""
    points = re.findall(r'^- (?:<a id="([a-z-]+)"></a>)?(.*)', text, re.M)
    return [anchor for anchor, _ in points if anchor], [line for anchor, line in points if not anchor]


def read_rows(text):
    """(points, proof) of each row of the tables."""
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[0] != "point" and not cells[0].startswith("---"):
            rows.append((re.findall(r"`([^`]+)`", cells[0]), cells[2]))
    return rows


def read_cases(build):
    said = subprocess.run([os.path.join(build, "tests", "kivi-conformance"), "--list"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    cases, suite = set(), ""
    for line in said.splitlines():
        head = re.match(r"(\w+): \d+ tests?", line)
        case = re.match(r"\W+ (\w+)", line)
        if head:
            suite = head.group(1)
        elif case:
            cases.add(f"{suite}.{case.group(1)}")
    return cases


def is_there(source, cases, name):
    if "/" in name:
        return os.path.exists(os.path.join(source, "tests", name))
    if name.endswith(".*"):
        return any(case.startswith(name[:-1]) for case in cases)
    return name in cases


def main():
    source, build = sys.argv[1:]
    with open(os.path.join(source, PROMISES)) as file:
        points, nameless = read_points(file.read())
    with open(os.path.join(source, PROOFS)) as file:
        text = file.read()
    rows, cases = read_rows(text), read_cases(build)
    tell(len(cases) >= 100 and len(points) >= 50, "contract: cases and points were read",
         f"{len(cases)} cases, {len(points)} points")
    tell(not nameless, "contract: every point has an anchor", "\n".join(nameless))
    tell(len(points) == len(set(points)), "contract: every anchor is there once")
    proved = {point for its, _ in rows for point in its}
    for point in points:
        tell(point in proved, f"contract: {point} has a row in {PROOFS}")
    strange = sorted(proved - set(points))
    tell(not strange, f"contract: {PROOFS} names points of the contract", " ".join(strange))
    for its, proof in rows:
        named = re.findall(r"`([a-z_]+\.(?:\w+|\*)|[a-z]+/[^`]+)`", proof)
        missing = [name for name in named if not is_there(source, cases, name)]
        tell(bool(its) and bool(named) and not missing,
             f"contract: {' '.join(its) or proof}: its proof is there", f"{proof}\nmissing: {' '.join(missing)}")


main()
