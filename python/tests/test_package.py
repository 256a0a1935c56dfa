"""The package itself: what it costs to import, what it shows."""
import inspect
import subprocess
import sys

import pytest

import kivi


def test_nobody_smells_the_generator():
    shown = [repr(part) for part in vars(kivi._kivi).values()] + dir(kivi._kivi) + dir(kivi.Store)
    assert not [text for text in shown if "swig" in text.lower() or "kvb" in text or "kvp" in text]


def test_import_is_light():
    code = (
        "import sys; before = set(sys.modules); import kivi; "
        "print(*(m for m in set(sys.modules) - before if not m.startswith('kivi')))"
    )
    run = subprocess.run([sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"],
                         capture_output=True, text=True, check=True)  # fmt: skip
    assert run.stdout.split() == []


def test_no_client_library_before_it_is_needed():
    code = "import kivi; kivi.open('memory:'); print('lmdb' in open('/proc/self/maps').read())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


@pytest.mark.parametrize("name", [n for n in dir(kivi.Store) if not n.startswith("_")])
def test_methods_have_texts_and_signatures(name):
    part = inspect.getattr_static(kivi.Store, name)
    assert inspect.getdoc(part)
    if not isinstance(part, property):
        assert list(inspect.signature(part).parameters)[0] == "self"


def test_signatures():
    assert str(inspect.signature(kivi.Store.get)) == "(self, /, key, default=None, *, type=None, timeout=None)"
    assert str(inspect.signature(kivi.Store.set)) == "(self, /, key, value, *, ttl=None, timeout=None)"


def test_warnings_are_none():
    run = subprocess.run([sys.executable, "-W", "error", "-c", "import kivi; kivi.open('memory:')['a'] = 1"],
                         capture_output=True, text=True)  # fmt: skip
    assert run.returncode == 0 and run.stderr == ""


def test_everything_is_exported():
    assert sorted(set(kivi.__all__)) == sorted(kivi.__all__)
    assert all(hasattr(kivi, name) for name in kivi.__all__)
    assert kivi.__version__.count(".") == 2
