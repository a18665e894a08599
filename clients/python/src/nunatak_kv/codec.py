"""Requests and objects as bytes: see docs/doors.md. Nothing here reads or writes a socket."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Mapping, Sequence, Union

#: Longer answers are not believed.
ANSWER_BYTES_MAX = 64 << 20

#: How deep an object nests at most: as deep as links are followed, and below. Python's own stack has room for that.
NESTING_MAX = 330

_ERROR = b"\xff"
_INTEGERS = range(-(1 << 63), 1 << 63)


class NunatakError(Exception):
    """Anything that is wrong with a request or its answer."""


class RefusedError(NunatakError):
    """The server has answered an error; its log says which."""


class ClosedError(NunatakError, ConnectionError):
    """The server has closed the connection."""


class MalformedError(NunatakError):
    """The answer is no object."""


@dataclass(frozen=True)
class Link:
    """An object that stands for the one of another key."""

    key: str


@dataclass(frozen=True)
class Change:
    """What has become of the object of a key."""

    key: str
    #: When that was committed: milliseconds since 1970 in all but the last 18 bits.
    timestamp: int
    #: The object; None as well if it was removed.
    value: "Object" = None
    removed: bool = False
    #: Why the object cannot be told, if it cannot.
    error: str | None = None


@dataclass(frozen=True)
class Resolved:
    """Nothing that was committed at or below this timestamp is told any more."""

    timestamp: int


Event = Union[Change, Resolved]

Object = Union[None, bool, int, float, str, Link, Sequence["Object"], Mapping[str, "Object"]]


def _length(what: str, length: int) -> bytes:
    if length > 0xFFFF:
        raise ValueError(f"{what} of {length} is too long: at most 65535")
    return struct.pack(">H", length)


def _string(text: str) -> bytes:
    data = text.encode()
    return _length("a string", len(data)) + data


def _key(key: str) -> bytes:
    if not key:
        raise ValueError("a key is not empty")
    return _string(key)


def encode(value: Object) -> bytes:
    """The bytes of an object."""
    parts: list[bytes] = []
    _encode(value, parts, 0)
    return b"".join(parts)


def _encode(value: Object, parts: list[bytes], depth: int) -> None:
    if depth >= NESTING_MAX:
        raise ValueError("the object nests too deep")
    if value is None:
        parts.append(b"\x00")
    elif isinstance(value, bool):
        parts.append(b"\x06\x01" if value else b"\x06\x00")
    elif isinstance(value, int):
        if value not in _INTEGERS:
            raise ValueError(f"{value} is no integer of 64 bits")
        parts.append(struct.pack(">Bq", 1, value))
    elif isinstance(value, float):
        parts.append(struct.pack(">Bd", 7, value))
    elif isinstance(value, str):
        parts.append(b"\x02" + _string(value))
    elif isinstance(value, Link):
        parts.append(b"\x05" + _key(value.key))
    elif isinstance(value, Mapping):
        parts.append(b"\x04" + _length("a map", len(value)))
        for name, member in value.items():
            if not isinstance(name, str):
                raise TypeError(f"the names of a map are strings, not {type(name).__name__}")
            parts.append(_string(name))
            _encode(member, parts, depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        parts.append(b"\x03" + _length("a list", len(value)))
        for item in value:
            _encode(item, parts, depth + 1)
    else:
        raise TypeError(f"an object cannot be a {type(value).__name__}")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise MalformedError("the answer ends too early")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def length(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def string(self) -> str:
        try:
            return self.take(self.length()).decode()
        except UnicodeDecodeError as error:
            raise MalformedError("a string is not UTF-8") from error

    def is_at_end(self) -> bool:
        return self._at == len(self._data)

    def value(self, depth: int = 0) -> Object:
        if depth >= NESTING_MAX:
            raise MalformedError("the answer nests too deep")
        kind = self.byte()
        if kind == 0:
            return None
        if kind == 1:
            return int.from_bytes(self.take(8), "big", signed=True)
        if kind == 2:
            return self.string()
        if kind == 3:
            return [self.value(depth + 1) for _ in range(self.length())]
        if kind == 4:
            return {self.string(): self.value(depth + 1) for _ in range(self.length())}
        if kind == 5:
            return Link(self.string())
        if kind == 6:
            return self.byte() != 0
        if kind == 7:
            number: float = struct.unpack(">d", self.take(8))[0]
            return number
        raise MalformedError(f"there is no type {kind} of objects")


def decode(data: bytes) -> Object:
    """The object that an answer is. Raises `RefusedError` if it is an error."""
    if data == _ERROR:
        raise RefusedError("the server has answered an error")
    reader = _Reader(data)
    value = reader.value()
    if not reader.is_at_end():
        raise MalformedError("something stands behind the object")
    return value


def _framed(command: int, payload: bytes = b"") -> bytes:
    return struct.pack(">QB", len(payload) + 1, command) + payload


def get_request(key: str, depth: int = 0) -> bytes:
    """GET."""
    if depth not in range(256):
        raise ValueError("a depth is from 0 to 255")
    return _framed(0, _key(key) + (bytes([1, 1, depth]) if depth else b""))


def set_request(key: str, value: Object) -> bytes:
    """SET."""
    return _framed(1, _key(key) + encode(value))


def delete_request(key: str) -> bytes:
    """DELETE."""
    return _framed(2, _key(key))


def authenticate_request(role: str, password: str) -> bytes:
    """AUTH."""
    return _framed(3, _key(role) + _string(password))


def watch_request(key: str | None, prefix: str | None, since: int) -> bytes:
    """WATCH: a key, or all keys with a prefix; without either all."""
    if key is not None and prefix is not None:
        raise ValueError("a key or a prefix is watched, not both")
    if since not in range(1 << 64):
        raise ValueError(f"{since} is no timestamp")
    what = b"\x01" + _string(prefix or "") if key is None else b"\x00" + _key(key)
    return _framed(4, what + struct.pack(">Q", since))


def event(answer: Object) -> Event:
    """What an answer tells of a watch."""
    if not isinstance(answer, Mapping):
        raise MalformedError("what is told of a watch is no map")
    resolved = answer.get("resolved")
    if isinstance(resolved, int):
        return Resolved(resolved)
    key, timestamp, error = answer.get("key"), answer.get("timestamp"), answer.get("error")
    if not isinstance(key, str) or not isinstance(timestamp, int):
        raise MalformedError("what is told of a watch has no key or no timestamp")
    if isinstance(error, str):
        return Change(key, timestamp, error=error)
    return Change(key, timestamp, answer.get("value"), removed="value" not in answer)


def close_request() -> bytes:
    """CLOSE."""
    return _framed(255)


def answer_length(head: bytes) -> int:
    """How many bytes follow the eight that an answer begins with."""
    length = int.from_bytes(head, "big")
    if not 1 <= length <= ANSWER_BYTES_MAX:
        raise MalformedError(f"an answer of {length} bytes")
    return length
