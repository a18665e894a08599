"""The command `nunatak-kv`."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shlex
import ssl
import sys
from typing import Any, Sequence

from .client import Client
from .codec import Link, NunatakError, Object


#: Names that mean more where they are the only one of a map, as in the table of objects.
_MEANT = re.compile(r"\$+(?:link|float)")
_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "-0": -0.0}


def to_json(value: Object) -> Any:
    """An object as the table of objects has it: a link as {"$link": key}, a float that JSON has no digits for as {"$float": name}."""
    if isinstance(value, Link):
        return {"$link": value.key}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, dict):
        members = {name: to_json(member) for name, member in value.items()}
        if len(members) == 1:
            [(name, member)] = members.items()
            if _MEANT.fullmatch(name):
                return {f"${name}": member}
        return members
    if isinstance(value, list):
        return [to_json(item) for item in value]
    return value


def from_json(value: Any) -> Object:
    """The other way round."""
    if isinstance(value, dict):
        if len(value) == 1:
            [(name, said)] = value.items()
            if name.startswith("$$") and _MEANT.fullmatch(name):
                return {name[1:]: from_json(said)}
            if name == "$link" and isinstance(said, str) and said:
                return Link(said)
            if name == "$float" and isinstance(said, str) and said in _FLOATS:
                return _FLOATS[said]
        return {name: from_json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [from_json(item) for item in value]
    result: Object = value
    return result


def _typed(words: Sequence[str]) -> Object:
    """The object that the words behind a key say: JSON, or a type and a value."""
    if len(words) == 1:
        return from_json(json.loads(words[0]))
    kind, text = words
    if kind == "int":
        return int(text)
    if kind == "float":
        return float(text)
    if kind == "text":
        return text
    if kind == "link":
        return Link(text)
    if kind == "bool" and text in ("true", "false"):
        return text == "true"
    if kind == "json":
        return from_json(json.loads(text))
    raise ValueError(f"'{kind} {text}' is none of: int, float, text, link, bool (true or false), json")


def _show(value: Object) -> None:
    print(json.dumps(to_json(value), ensure_ascii=False, allow_nan=False))


def run(client: Client, words: Sequence[str]) -> None:
    """Carries out one command and prints what it answers."""
    match list(words):
        case ["get", key]:
            _show(client.get(key))
        case ["get", key, depth]:
            _show(client.get(key, int(depth)))
        case ["set", key, *rest] if len(rest) in (1, 2):
            _show(client.set(key, _typed(rest)))
        case ["delete", key]:
            _show(client.delete(key))
        case ["link", key, target]:
            _show(client.link(key, target))
        case _:
            raise ValueError("get KEY [DEPTH] | set KEY JSON | set KEY TYPE VALUE | delete KEY | link KEY TARGET")


def shell(client: Client) -> int:
    """Reads commands line by line. How many failed, or 1 of more."""
    interactive = sys.stdin.isatty()
    failed = 0
    while True:
        if interactive:
            print("nunatak-kv> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            return failed
        try:
            words = shlex.split(line)
            if words in (["exit"], ["quit"]):
                return failed
            if words:
                run(client, words)
        except (ValueError, TypeError, RecursionError, NunatakError) as error:
            failed = 1
            print(f"nunatak-kv: {error}", file=sys.stderr)
            if isinstance(error, ConnectionError):
                return failed


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nunatak-kv",
        description="Objects in Nunatak. Each command prints, as JSON, the object, or the one that was there before.",
        epilog='A link is {"$link": "KEY"} in JSON, and a map of that name alone has one $ more. A key that begins with - stands '
        "behind --. The password stands in PGPASSWORD.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where the gateway is")
    parser.add_argument("--port", type=int, default=7227, help="the port of its object protocol")
    parser.add_argument("--role", help="the role to work as")
    parser.add_argument("--tls-ca", help="the authority that has signed its certificate: the connection is encrypted")
    commands = parser.add_subparsers(dest="command", required=True)
    get = commands.add_parser("get", help="print an object")
    get.add_argument("key")
    get.add_argument("depth", nargs="?", default="0", help="how far links are followed")
    put = commands.add_parser("set", help="put an object in place of another")
    put.add_argument("key")
    # Whatever follows a key is its value, be it written as flags are.
    put.add_argument(
        "value", nargs=argparse.REMAINDER, help="JSON; or int, float, text, bool, link or json, and a value"
    )
    delete = commands.add_parser("delete", help="remove an object")
    delete.add_argument("key")
    link = commands.add_parser("link", help="make an object a link to another")
    link.add_argument("key")
    link.add_argument("target")
    commands.add_parser("shell", help="read such commands line by line")
    return parser


def _words(given: argparse.Namespace) -> list[str]:
    if given.command == "get":
        return ["get", given.key, given.depth]
    if given.command == "set":
        return ["set", given.key, *given.value]
    if given.command == "delete":
        return ["delete", given.key]
    return ["link", given.key, given.target]


def main() -> int:
    """Runs the command line; the exit status."""
    given = _arguments().parse_args()
    tls = ssl.create_default_context(cafile=given.tls_ca) if given.tls_ca else None
    password = os.environ.get("PGPASSWORD", "")
    try:
        with Client(given.host, given.port, role=given.role, password=password, tls=tls) as client:
            if given.command == "shell":
                return shell(client)
            run(client, _words(given))
            return 0
    except (OSError, ValueError, TypeError, RecursionError, NunatakError) as error:
        print(f"nunatak-kv: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
