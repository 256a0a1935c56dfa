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
            raise ImportError("type= needs msgspec or cattrs: pip install msgspec")
    return _structure(value, type)


def convert_of(key, value, type):
    """The same of a key's value: an error names the key."""
    try:
        return convert(value, type)
    except Unrepresentable as error:
        _kivi.name_key(error, key)
        raise


def _raise(failures, **more):
    """The first of several failures, with all of them by position."""
    first = next(iter(failures.values()))
    error = type(first)(*first.args)
    error.key, error.failures = first.key, failures
    for name, value in more.items():
        setattr(error, name, value)
    raise error


def convert_found(keys, found, type):
    """What get_many() found, each value as an object of `type`; those that do not fit hide no others."""
    made, failures = {}, {}
    for index, key in enumerate(keys):
        if key not in found:
            continue
        try:
            made[key] = convert_of(key, found[key], type)
        except Unrepresentable as error:
            failures[index] = error
    if failures:
        _raise(failures, results=made)
    return made


def convert_page(page, type):
    """The pairs of a page, each value as an object of `type`; those that do not fit are raised behind the others."""
    failures = {}
    for index, (key, value, *left) in enumerate(page):
        try:
            made = convert_of(key, value, type)
        except Unrepresentable as error:
            failures[index] = error
            continue
        yield (key, made, *left)
    if failures:
        _raise(failures, cursor=page.cursor)
