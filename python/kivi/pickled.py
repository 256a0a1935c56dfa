"""codec="pickle": any object of Python, readable by Python alone.

To read a pickle runs what is written in it: use it only where nobody else can write to the store, as with shelve.
Ints of 64 bits are stored as decimal text, so that increment() adds to them.
"""
import pickle

from kivi.errors import Corrupt, Unrepresentable

_LEAST, _MOST = -(2**63), 2**63


def dumps(value):
    """Bytes of a value: a pickle, or the digits of an int."""
    if type(value) is int and _LEAST <= value < _MOST:
        return b"%d" % value
    try:
        return pickle.dumps(value, 4)  # begins with 0x80, as no number does
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise Unrepresentable(f"value: a {type(value).__name__} cannot be pickled") from error


def loads(data):
    """The value of such bytes."""
    if data[:1] != b"\x80":
        try:
            return int(data)
        except ValueError:
            raise Corrupt("value: neither a pickle nor a number") from None
    try:
        return pickle.loads(data)
    except Exception as error:
        raise Corrupt(f"value: a pickle that cannot be read ({type(error).__name__})") from error


def split(options):
    """The library's options, and the codec's functions or None."""
    if options.get("codec") != "pickle":
        return options, None
    return {**options, "codec": "raw"}, (dumps, loads)
