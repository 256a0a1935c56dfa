"""The kivi command's part of the interop suite: tokens as its JSON, and back."""
import base64
import json
import subprocess
from datetime import datetime, timedelta, timezone

from interop import EPOCH, rows, tohex, unhex


def to_json(tokens):
    """The next value of a list of token lines, as JSON text."""
    kind, _, given = next(tokens).partition(" ")
    if kind in ("nil", "true", "false"):
        return {"nil": "null"}.get(kind, kind)
    if kind == "int":
        return given
    if kind == "float":
        if given in ("inf", "-inf", "nan"):
            return '{"$float":"%s"}' % {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[given]
        return given if any(c in given for c in ".e") else given + ".0"
    if kind == "str":
        return json.dumps(unhex(given).decode())
    if kind == "bin":
        return '{"$bin":"%s"}' % base64.b64encode(unhex(given)).decode()
    if kind == "array":
        return "[%s]" % ",".join(to_json(tokens) for _ in range(int(given)))
    if kind == "map":
        pairs = [(to_json(tokens), to_json(tokens)) for _ in range(int(given))]
        if all(key.startswith('"') for key, _ in pairs):
            return "{%s}" % ",".join(f"{key}:{value}" for key, value in pairs)
        return '{"$pairs":[%s]}' % ",".join(f"[{key},{value}]" for key, value in pairs)
    if kind == "time":
        return '{"$time":[%s]}' % given.replace(" ", ",")
    number, _, data = given.partition(" ")
    return '{"$ext":[%s,"%s"]}' % (number, base64.b64encode(unhex(data)).decode())


def dump_time(given, out):
    if isinstance(given, list):
        seconds, nanoseconds = (int(str(part)) for part in given)
    else:
        whole, _, fraction = given.rstrip("Z").partition(".")
        at = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc)
        seconds, nanoseconds = (at - EPOCH) // timedelta(seconds=1), int(fraction.ljust(9, "0"))
    out.append(f"time {seconds} {nanoseconds}")


def dump_form(name, given, out):
    if name == "$bin":
        out.append(f"bin {tohex(base64.b64decode(given))}".rstrip())
    elif name == "$time":
        dump_time(given, out)
    elif name == "$ext":
        out.append(f"ext {given[0]} {tohex(base64.b64decode(given[1]))}".rstrip())
    elif name == "$float":
        out.append("float " + ("nan of other bits" if given.startswith("0x") else "%.17g" % float(given)))
    elif name == "$pairs":
        out.append(f"map {len(given)}")
        for key, value in given:
            dump(key, out)
            dump(value, out)
    else:
        out.append(f"stranger {name}")


def dump(value, out):
    """A value parsed from the command's JSON, as token lines."""
    if value is None or value is True or value is False:
        out.append({None: "nil", True: "true", False: "false"}[value])
    elif isinstance(value, int):
        out.append(f"int {value}")
    elif isinstance(value, float):
        out.append("float %.17g" % value)
    elif isinstance(value, str):
        out.append(f"str {tohex(value.encode())}".rstrip())
    elif isinstance(value, list):
        out.append(f"array {len(value)}")
        for element in value:
            dump(element, out)
    elif len(value) == 1 and next(iter(value)).startswith("$"):
        dump_form(*next(iter(value.items())), out)
    else:
        out.append(f"map {len(value)}")
        for key, element in value.items():
            dump(key, out)
            dump(element, out)


def write(kivi, url, table):
    """Answers what failed, as the other languages' programs print it: nothing here."""
    lines = ['{"key":"%s","value":%s}' % (name, to_json(iter(tokens))) for name, raw, tokens in rows(table) if not raw]
    subprocess.run([kivi, "-s", url, "import", "--quiet", "-"], input="\n".join(lines) + "\n", text=True, check=True)
    return ""


def read(kivi, url):
    output = subprocess.run([kivi, "-s", url, "export", "--quiet"], capture_output=True, text=True, check=True).stdout
    out = []
    for line in output.splitlines():
        pair = json.loads(line)
        out.append(f"row {pair['key']}")
        dump(pair["value"], out)
    return "\n".join(out) + "\n"
