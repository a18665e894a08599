"""What came of suites: a summary for who runs them, and docs/clients.md of whole runs."""

import json

import kinds

HEAD = """# Clients by their own checks

What the test suites of clients, unmodified, find of Nunatak: `tests/clients/run` fetches them, starts a server for each, plays them and
writes this page. `--list` names them, `--postgres` plays them against PostgreSQL 15, whose column stands beside ours, and `--nodes 3`
against three nodes. Only where the database is has been told to them, with two exceptions: SQLAlchemy's and Alembic's begin by making
extensions, of which `hstore` is left out; and of Django's, the parts `constraints`, `inspectdb` and `model_fields` have tables that cannot be
made here, and are told that unique constraints cannot be deferred, and that `C` is the collation to test with. What a suite skips by itself is
not counted. psycopg 3 has no tests in its source distribution: it is what SQLAlchemy's dialect and Django are played with.
"""


class Result:
    """`known` are the tests that PostgreSQL 15 fails, too, with what it says."""

    def __init__(self, suite, tests, ended, known):
        self.suite, self.ended, self.known = suite, ended, known
        ran = {name: test for name, test in tests.items() if test["outcome"] != "skipped"}
        self.ran = len(ran)
        self.passed = sum(test["outcome"] == "passed" for test in ran.values())
        failed = {name: test["text"] for name, test in ran.items() if test["outcome"] != "passed"}
        self.everywhere = sum(name in known for name in failed)
        self.kinds = kinds.count(text for name, text in failed.items() if name not in known)


def failing_in_postgres(cache, suite):
    """The tests that PostgreSQL fails in the newest whole run against it."""
    kept = stored(cache, "postgres", suite)
    return {name: test for name, test in kept["tests"].items() if test["outcome"] not in ("passed", "skipped")} if kept else {}


def stored(cache, kind, suite):
    path = cache / "results" / f"{kind}-{suite.name}.json"
    kept = json.loads(path.read_text()) if path.exists() else None
    return kept if kept and kept["version"] == suite.version else None


def summary(result, most):
    lines = [f"    {result.passed} of {result.ran} passed" + (f"; {result.ended}" if result.ended else "")]
    if result.everywhere:
        lines.append(f"    {result.everywhere:5} fail on PostgreSQL 15, too")
    lines += [f"    {tests:5} {kind}" for kind, tests in result.kinds[:most]]
    rest = sum(tests for _, tests in result.kinds[most:])
    if rest:
        lines.append(f"    {rest:5} of {len(result.kinds) - most} other kinds")
    return "\n".join(lines)


def page(cache, suites):
    known = kinds.reasons()
    table = ["| Client | Version | Passed of run | On three nodes | PostgreSQL 15 |", "| --- | --- | --- | --- | --- |"]
    sections = []
    for suite in suites.values():
        runs = {kind: stored(cache, kind, suite) for kind in ("nunatak1", "nunatak3", "postgres")}
        results = {kind: Result(suite, run["tests"], run["ended"], failing_in_postgres(cache, suite)) for kind, run in runs.items() if run}
        figures = [figure(results.get(kind)) for kind in runs]
        table.append(f"| {suite.title} | {suite.version} | " + " | ".join(figures) + " |")
        if "nunatak1" in results:
            sections.append(section(results["nunatak1"], known))
    return "\n".join([HEAD, *table, "", *sections])


def figure(result):
    if result is None:
        return ""
    return f"{result.passed} of {result.ran}" + (f" ({result.ended})" if result.ended else "")


def section(result, known):
    suite = result.suite
    lines = [f"## {suite.title}", ""]
    # By their names: here no path is one of the suite's.
    played = ", ".join(f"`{part.rpartition('/')[2]}`" for part in suite.parts)
    lines.append(f"Played: {played}." + (f" Left out: {suite.left_out}." if suite.left_out else ""))
    if result.everywhere:
        lines.append(f"{result.everywhere} tests fail on PostgreSQL 15 in the same way of being played; they are not among these:")
    lines.append("")
    if not result.kinds:
        return "\n".join([*lines, "Nothing else fails.", ""])
    by_reason = {}
    for kind, tests in result.kinds:
        why = kinds.reason(kind, known) or "not looked into"
        told = by_reason.setdefault(why, [0, []])
        told[0] += tests
        told[1].append(kind)
    lines += ["| Tests | Reason | What is said |", "| --- | --- | --- |"]
    for why, (tests, said) in sorted(by_reason.items(), key=lambda entry: -entry[1][0]):
        shown = "; ".join("`" + kind.replace("|", "¦").replace("`", "'") + "`" for kind in said[:3])
        more = f"; {len(said) - 3} more" if len(said) > 3 else ""
        lines.append(f"| {tests} | {why} | {shown}{more} |")
    return "\n".join([*lines, ""])
