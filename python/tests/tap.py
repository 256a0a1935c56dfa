"""A pytest plugin that prints TAP: "ok - name" or "not ok - name" for each case, after what failed."""
import os

import pytest

_failed = {}


def _name(report):
    path, _, case = report.nodeid.partition("::")
    file = os.path.splitext(os.path.basename(path))[0]
    return f"python {file.replace('test_', '')}: {case or 'collection'}".replace("#", "")


def _tell(word, report):
    if word != "ok":
        for line in str(report.longrepr).splitlines()[-60:]:
            print("#", line)
    print(f"{word} - {_name(report)}", flush=True)


def pytest_runtest_logreport(report):
    if report.failed or (report.when == "call" and report.skipped and not hasattr(report, "wasxfail")):
        _failed[report.nodeid] = True  # a case that is skipped proves nothing
        _tell("not ok", report)
    elif report.when == "teardown" and report.nodeid not in _failed:
        _tell("ok", report)


def pytest_collectreport(report):
    if report.failed:
        _tell("not ok", report)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    print(f"{session.testscollected - session.testsfailed} passed, {session.testsfailed} failed")
