"""What calls say of who makes them, and what their errors say."""

from __future__ import annotations

import base64
import random
from typing import Optional, Sequence, Tuple

import grpc

from .v1 import kv_pb2

#: Longer messages are not taken.
MESSAGE_BYTES_MAX = 9 << 20

#: How often what others were in the way of is run again.
ATTEMPTS = 10

OPTIONS: Sequence[Tuple[str, int]] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
)

Metadata = Optional[Tuple[Tuple[str, str], ...]]


class Error(Exception):
    """A call has failed."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.code: grpc.StatusCode = error.code()
        message = error.details() or ""
        detail = _detail(error)
        #: PostgreSQL's code; empty if it was not the service that has answered.
        self.sqlstate: str = detail.sqlstate
        #: Whether the same may succeed as a new transaction.
        self.retryable: bool = detail.retryable
        super().__init__(f"{self.code.name}: {message}" + (f" ({self.sqlstate})" if self.sqlstate else ""))


def _detail(error: grpc.RpcError) -> kv_pb2.ErrorDetail:
    detail = kv_pb2.ErrorDetail()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            detail.MergeFrom(_first_detail(value))
    return detail


def _first_detail(status: bytes) -> kv_pb2.ErrorDetail:
    """The ErrorDetail of a google.rpc.Status: of its field 3, an Any, the field 2. Empty if there is none."""
    for number, value in _fields(status):
        if number == 3:
            members = dict(_fields(value))
            if members.get(1, b"").endswith(b"/nunatak.kv.v1.ErrorDetail"):
                return kv_pb2.ErrorDetail.FromString(members.get(2, b""))
    return kv_pb2.ErrorDetail()


def _fields(message: bytes) -> list[tuple[int, bytes]]:
    """The fields of a message that have a length; what makes no sense ends them."""
    fields: list[tuple[int, bytes]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while at < len(message) and shift < 64:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
        at = len(message)
        return 0

    while at < len(message):
        tag = varint()
        if tag & 7 == 2:
            length = varint()
            fields.append((tag >> 3, message[at : at + length]))
            at += length
        elif tag & 7 == 0:
            varint()
        else:
            break
    return fields


def metadata(role: str | None, password: str) -> Metadata:
    """What a call says of who makes it."""
    if role is None:
        return None
    if ":" in role:
        raise ValueError("a colon cannot stand in the name of a role here")
    said = base64.b64encode(f"{role}:{password}".encode()).decode()
    return (("authorization", f"Basic {said}"),)


def pause(attempt: int) -> float:
    """Seconds before something is run again."""
    return 0.002 * attempt + random.random() / 1000


def watch_request(
    key: bytes | None, prefix: bytes | None, start: bytes, end: bytes, since: int
) -> kv_pb2.WatchRequest:
    """A key, all with a prefix, or a span."""
    request = kv_pb2.WatchRequest(start=start, end=end, since=since)
    if key is not None:
        request.key = key
    if prefix is not None:
        request.prefix = prefix
    return request


def mode(read_only: bool) -> kv_pb2.Mode:
    """Of a transaction."""
    return kv_pb2.READ_ONLY if read_only else kv_pb2.READ_WRITE
