"""The stubs, and programs that use them, as pyright sees them; [tool.pyright] in pyproject.toml says how strictly.

tests/python-package/check asks mypy the same. The wheels hold pyright and Node: nothing is fetched while it runs.
"""
import os
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parent.parent
STUBS = sorted(PACKAGE.glob("kivi/*.pyi"))
PROGRAMS = [PACKAGE.parent / "tests/python-package/typed_use.py", *sorted(PACKAGE.glob("examples/[!t]*.py"))]

# Node stands no sanitizer that is loaded first, and no setting from outside may choose another pyright.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "NODE_", "PYRIGHT_"))}
ENVIRONMENT["PYRIGHT_PYTHON_IGNORE_WARNINGS"] = "1"  # else it asks whether there is a newer one


def run_pyright(*arguments, **settings):
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--warnings", *map(str, arguments)]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT,
                         timeout=300, **settings)  # fmt: skip
    if run.returncode:
        pytest.fail(f"pyright: exit status {run.returncode}\n{run.stdout}", pytrace=False)


@pytest.mark.parametrize("version", ["3.9", "3.14"])  # of Python: the first and the last that the package is for
def test_pyright_finds_nothing(version):
    run_pyright("--project", PACKAGE, "--pythonversion", version, *STUBS, *PROGRAMS)


def test_every_public_type_is_known(tmp_path):
    """As an installed package: away from the sources, which pyright would take for the program's own."""
    run_pyright("--verifytypes", "kivi", cwd=tmp_path)
