"""python -m kivi: a few calls at the command line, for those who have no `kivi` command."""
import argparse
import json
import sys

import kivi


def _shown(value):
    return json.dumps(value, ensure_ascii=False, default=repr)


def _value(text):
    """A word of the command line: JSON, else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _get(arguments):
    with kivi.open(arguments.url) as store:
        print(_shown(store[arguments.key]))


def _set(arguments):
    with kivi.open(arguments.url) as store:
        store.set(arguments.key, _value(arguments.value), ttl=arguments.ttl)


def _scan(arguments):
    with kivi.open(arguments.url) as store:
        if arguments.keys:
            for key in store.keys(arguments.prefix, limit=arguments.limit):
                print(_shown(key))
            return
        for key, value in store.scan(arguments.prefix, limit=arguments.limit):
            print(_shown(key), _shown(value), sep="\t")


def _options(arguments):
    for option in kivi.options(arguments.scheme):
        print(option["name"], option["type"], option["default"], option["help"], sep="\t")


def _stores(arguments):
    for store in kivi.stores():
        state = "" if store["available"] else f"not here: {store['reason']}"
        print(store["scheme"], store["summary"], state, sep="\t")


def _copy(arguments):
    done = kivi.copy(arguments.source, arguments.target, prefix=arguments.prefix)
    print(f"{done.copied} copied, {done.skipped} skipped")


def _parser():
    parser = argparse.ArgumentParser(prog="python -m kivi", description=__doc__.split(": ", 1)[1])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name, function, text, *words):
        command = commands.add_parser(name, help=text, description=text)
        for word in words:
            command.add_argument(word)
        command.set_defaults(function=function)
        return command

    add("get", _get, "prints a value as JSON", "url", "key")
    command = add("set", _set, "writes a value: JSON, else text", "url", "key", "value")
    command.add_argument("--ttl", type=float, help="seconds")
    command = add("scan", _scan, "prints keys and values as JSON", "url")
    command.add_argument("prefix", nargs="?", default="")
    command.add_argument("--limit", type=int)
    command.add_argument("--keys", action="store_true", help="without values")
    add("options", _options, "lists the options of a scheme", "scheme")
    add("stores", _stores, "lists the kinds of store")
    command = add("copy", _copy, "copies pairs from store to store", "source", "target")
    command.add_argument("prefix", nargs="?", default="")
    return parser


def main(words=None):
    """Runs a command; the status that the process ends with."""
    arguments = _parser().parse_args(words)
    try:
        arguments.function(arguments)
    except kivi.Error as error:
        print(f"kivi: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()  # else the interpreter complains at its end
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
