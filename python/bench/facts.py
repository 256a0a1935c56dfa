"""What is measured without a peer: the import."""
import statistics
import subprocess
import sys
import time


def _started(code):
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def import_time(quick):
    """What `import kivi` adds to an interpreter's start, in turns with one that imports nothing."""
    with_it, without = [], []
    for _ in range(3 if quick else 31):
        without.append(_started("pass"))
        with_it.append(_started("import kivi"))
    ms = (statistics.median(with_it) - statistics.median(without)) * 1e3
    check = "import kivi; print(sum(any(n in l for n in ('lmdb', 'hiredis', 'ssl')) for l in open('/proc/self/maps')))"
    loaded = int(subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True).stdout)
    return {
        "kind": "fact", "row": import_time.name, "title": "import kivi, beyond an empty interpreter's start",
        "unit": "ms", "note": f"{loaded} client libraries loaded by it", "value": round(ms, 4), "target": 10,
        "reached": ms <= 10 and loaded == 0,
    }  # fmt: skip


import_time.name = "python-import"
FACTS = [import_time]
