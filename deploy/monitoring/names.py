"""Fails unless the metrics in the code, in docs/metrics.md, and in the rules and dashboards are the same."""

import re
import sys
from pathlib import Path

import source

ROOT = Path(__file__).resolve().parents[2]
NAME = r"(?:nunatak|lsm)_[a-z0-9_]+"


def in_code():
    names = set()
    for path in ROOT.glob("*/src/**/*.rs"):
        if path.relative_to(ROOT).parts[0] in ("tests", "bench"):
            continue
        names |= set(re.findall(rf'"({NAME})"', path.read_text().split("#[cfg(test)]")[0]))
    return names


def main():
    code = in_code()
    table = set(re.findall(rf"^\| `({NAME})[`{{]", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    used = {}
    for place, expression in source.expressions():
        for name in re.findall(rf"(?<![a-z0-9_:]){NAME}", expression):
            used[re.sub(r"_(bucket|sum|count)$", "", name)] = place
    wrong = [f"{name} is not in docs/metrics.md" for name in sorted(code - table)]
    wrong += [f"docs/metrics.md: there is no {name}" for name in sorted(table - code)]
    wrong += [f"{place}: there is no {name}" for name, place in used.items() if name not in code]
    recorded = set(source.RECORDED)
    for place, expression in source.expressions():
        unknown = set(re.findall(r"nunatak:[a-z0-9_:]+", expression)) - recorded
        wrong += [f"{place}: {name} is not recorded" for name in unknown]
    if not code:
        wrong.append("no metric was found in the code")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
