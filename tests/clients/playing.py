"""Plays a suite: its own runner, with a plugin beside it that writes down what became of each test."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PLUGINS = Path(__file__).resolve().parent / "plugins"
# A test that takes longer has failed.
TEST_SECONDS = 60
PROGRESS_SECONDS = 20


def play(suite, place, server, run, parts, seconds):
    """The tests that were run, by name, and what ended the suite before its end."""
    record = run / "tests.jsonl"
    record.touch()
    environment = {**os.environ, "NUNATAK_RECORD_TESTS": str(record), "PYTHONPATH": str(PLUGINS), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.update({name: fill(value, server) for name, value in suite.environment.items()})
    if not server.is_postgres:
        environment["NUNATAK_DJANGO_LACKS"] = "1"
    deadline = time.monotonic() + seconds
    ended = ""
    for part, words in commands(suite, place, server, parts):
        before = record.stat().st_size
        with open(run / "output.log", "ab") as log:
            process = subprocess.Popen([str(word) for word in words], cwd=folder(suite, place), env=environment, stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL, start_new_session=True)
            try:
                said = watch(process, record, deadline, seconds)
            finally:
                end(process)
        if part and record.stat().st_size == before and process.returncode:
            note(record, part, last_words(run / "output.log"))
        elif said:
            ended = said
        if time.monotonic() >= deadline:
            break
    return read(record), ended


def folder(suite, place):
    return place.suite / "tests" if suite.runner == "django" else place.suite


def fill(text, server, part=""):
    return text.format(host=server.host, port=server.port, database=server.database, part=part)


def commands(suite, place, server, parts):
    """One command for all parts; of Django's tests one for each, whose name comes first: each makes the tables of its part alone."""
    if suite.runner == "django":
        for part in parts:
            yield part, [place.python, "runtests.py", "--settings=django_settings", "--parallel=1", "--noinput", part]
        return
    paths = []
    for part in parts:
        for option in suite.options:
            if "{part}" in option:
                paths.append(fill(option, server, part))
    others = [fill(option, server) for option in suite.options if "{part}" not in option]
    yield "", [place.python, "-m", "pytest", "-q", "-p", "recorder", "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS}", *others, *paths]


def end(process):
    """Ends a runner that is still there, with its own group, so that what it has started goes with it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


SAID = [time.monotonic()]


def watch(process, record, deadline, seconds):
    """Waits for a runner's end, and says how far it is."""
    while True:
        try:
            status = process.wait(1)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            if now - SAID[0] > PROGRESS_SECONDS:
                SAID[0] = now
                outcomes = [test["outcome"] for test in read(record).values()]
                print(f"    {len(outcomes)} tests, {outcomes.count('passed')} passed, {deadline - now:.0f} s left", flush=True)
            if now < deadline:
                continue
            return f"it was ended after {seconds} s"
        return "" if status in (0, 1) else f"its runner ended with status {status}"


def note(record, part, text):
    """A part of which no test was reached."""
    with open(record, "a") as lines:
        lines.write(json.dumps({"name": part, "outcome": "error", "text": text, "seconds": 0}) + "\n")


def last_words(log):
    with open(log, "rb") as output:
        output.seek(max(0, log.stat().st_size - 4000))
        return output.read().decode(errors="replace")


def read(record):
    """The newest word on each test: one that passed and then failed in its end has failed."""
    tests = {}
    for line in record.read_text(errors="replace").splitlines():
        try:
            test = json.loads(line)
        except ValueError:
            continue
        before = tests.get(test["name"])
        if before is None or before["outcome"] in ("passed", "skipped"):
            tests[test["name"]] = test
    return tests


if __name__ == "__main__":
    sys.exit("run `run`")
