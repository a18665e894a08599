"""A plugin of pytest that writes down what became of each test, a line each, as it happens."""

import json
import os

RECORD = os.open(os.environ["NUNATAK_RECORD_TESTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
TEXT_MAX = 6000


def write(name, outcome, text, seconds):
    line = {"name": name, "outcome": outcome, "text": text[-TEXT_MAX:], "seconds": round(seconds, 2)}
    os.write(RECORD, json.dumps(line).encode() + b"\n")


def pytest_runtest_logreport(report):
    if hasattr(report, "wasxfail"):
        # The suite itself says that it does not hold.
        if report.when == "call" or report.skipped:
            write(report.nodeid, "skipped", "", report.duration)
    elif report.failed:
        write(report.nodeid, "failed" if report.when == "call" else "error", str(report.longrepr), report.duration)
    elif report.skipped:
        write(report.nodeid, "skipped", "", report.duration)
    elif report.when == "call":
        write(report.nodeid, "passed", "", report.duration)


def pytest_collectreport(report):
    if report.failed:
        write(report.nodeid, "error", str(report.longrepr), 0)
