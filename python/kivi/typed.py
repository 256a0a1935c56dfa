"""Reading a value as a type, by msgspec or else cattrs: both are optional."""
from kivi import _kivi
from kivi.errors import Unrepresentable

_structure = None


def _by_msgspec():
    import msgspec

    def structure(value, type):
        try:
            return msgspec.convert(value, type)
        except msgspec.ValidationError as error:
            raise Unrepresentable(f"value: not a {_name(type)}: {error}") from error

    return structure


def _by_cattrs():
    import cattrs

    converter = cattrs.Converter()

    def structure(value, type):
        try:
            return converter.structure(value, type)
        except cattrs.errors.StructureHandlerNotFoundError:
            raise
        except (cattrs.errors.BaseValidationError, TypeError, ValueError, LookupError) as error:
            raise Unrepresentable(f"value: not a {_name(type)}") from error

    return structure


def _name(type):
    return getattr(type, "__qualname__", None) or str(type)


def convert(value, type):
    """`value`, as read, as an object of `type`."""
    global _structure
    if _structure is None:
        for make in (_by_msgspec, _by_cattrs):
            try:
                _structure = make()
                break
            except ImportError:
                continue
        else:
            raise ImportError("type= needs msgspec or cattrs: pip install libkivi[typed]")
    return _structure(value, type)


def convert_of(key, value, type):
    """The same of a key's value: an error names the key."""
    try:
        return convert(value, type)
    except Unrepresentable as error:
        _kivi.name_key(error, key)
        raise
