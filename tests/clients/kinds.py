"""Sorts failures by kind: what the server said, or the test, without what is each test's own."""

import re
from collections import Counter
from pathlib import Path

REASONS = Path(__file__).resolve().parent / "reasons.tsv"
KIND_CHARACTERS = 150

RAISED = re.compile(r"^(?:E\s+)?((?:[A-Za-z_]\w*\.)*[A-Z]\w*)(?:: ?(.*))?$")
WRAPPED = re.compile(r"^\((?:[\w.]+|<class '[^']+'>)\)(?: (?:<class '[^']+'>: )?)?(.*)$")
FIELD = re.compile(r"'M': ([\"'])(.*?)\1[,}]")
NAMES = re.compile(r"\b(relation|table|constraint|index|database|schema|role|view|cursor|prepared statement|savepoint) \"[^\"]*\"")


def kind(text):
    """What a failure's text is about, in a line."""
    said = ""
    for line in text.splitlines():
        line = line.rstrip()
        found = RAISED.match(line)
        if not found:
            continue
        name = found.group(1).rsplit(".", 1)[-1]
        if "." not in found.group(1) and not re.search(r"(Error|Exception|Failed|Late|Warning|Timeout|Exit|Interrupt)$", name):
            continue
        said = name + ": " + (found.group(2) or "")
    if not said:
        said = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "nothing was said")
    return plain(said)


def plain(said):
    name, _, words = said.partition(": ")
    field = FIELD.search(words)
    if field:
        words = field.group(2)
    wrapped = WRAPPED.match(words)
    if wrapped:
        words = wrapped.group(1)
    words = NAMES.sub(r'\1 "…"', words)
    words = re.sub(r"0x[0-9a-f]+", "0x…", words)
    # Where the suite lies is this machine's business.
    words = re.sub(r"(?<![\w:/.])/(?:[\w.+-]+/)+", "…/", words)
    words = re.sub(r"\d+(?:\.\d+)?", "N", words)
    return (f"{name}: {words}" if name.endswith(("Error", "Late", "Failed")) and name in ("AssertionError", "TypeError", "AttributeError") else words or name)[:KIND_CHARACTERS]


def count(failures):
    """Kinds with how many tests each costs, the dearest first."""
    return Counter(kind(text) for text in failures).most_common()


def reasons():
    """Of kinds, by regular expression, why they are so."""
    found = []
    for line in REASONS.read_text().splitlines():
        if line and not line.startswith("#"):
            pattern, _, reason = line.partition("\t")
            found.append((re.compile(pattern), reason.strip()))
    return found


def reason(of, known):
    return next((why for pattern, why in known if pattern.search(of)), "")
