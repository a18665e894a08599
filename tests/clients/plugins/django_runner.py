"""The runner of Django's tests, with a result that is written down test by test and a bound on each test's time.

In some parts of the suite one table of many cannot be made by Nunatak, and no test of the part would be run. There the tests are
told what it lacks, as backends of other databases tell them.
"""

import os
import signal
import time
import traceback
import unittest

from django.db.backends.postgresql.features import DatabaseFeatures
from django.test.runner import DiscoverRunner

from recorder import write

TEST_SECONDS = 60
COLLATIONS = {"test_collations": {"deterministic": "C", "non_default": "C", "virtual": "C"}}
LACKS = {
    "constraints": {"supports_deferrable_unique_constraints": False},
    "inspectdb": COLLATIONS,
    "model_fields": COLLATIONS,
}


class Late(Exception):
    """A test took longer than any should."""


def late(_signal, _frame):
    raise Late(f"a test took more than {TEST_SECONDS} s")


class Recorded(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        self.begun, self.written = time.monotonic(), False
        signal.signal(signal.SIGALRM, late)
        signal.alarm(TEST_SECONDS)

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)

    def said(self, test, outcome, text=""):
        self.written = True
        write(test.id(), outcome, text, time.monotonic() - getattr(self, "begun", time.monotonic()))

    def addSuccess(self, test):
        super().addSuccess(test)
        if not self.written:
            self.said(test, "passed")

    def addError(self, test, err):
        super().addError(test, err)
        self.said(test, "error", "".join(traceback.format_exception(*err)))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.said(test, "failed", "".join(traceback.format_exception(*err)))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.said(test, "skipped")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.said(test, "skipped")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.said(test, "failed", "an unexpected success")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.said(test, "failed", "".join(traceback.format_exception(*err)))


class Runner(DiscoverRunner):
    def build_suite(self, test_labels=None, **options):
        for label in test_labels or [] if "NUNATAK_DJANGO_LACKS" in os.environ else []:
            for name, value in LACKS.get(label, {}).items():
                setattr(DatabaseFeatures, name, value)
        return super().build_suite(test_labels, **options)

    def get_resultclass(self):
        return Recorded
