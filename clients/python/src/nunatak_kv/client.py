"""A client that waits."""

from __future__ import annotations

import socket
import ssl
from types import TracebackType
from typing import Iterator

from . import codec
from .codec import ClosedError, Event, Link, Object, RefusedError


class Client:
    """A connection to a gateway's object protocol. Not to be shared by threads."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 7227,
        *,
        role: str | None = None,
        password: str = "",
        tls: ssl.SSLContext | None = None,
        timeout: float | None = 60.0,
    ) -> None:
        """Connects, encrypted if `tls` is given, and says who it is if `role` is."""
        connection = socket.create_connection((host, port), timeout)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket: socket.socket | None = (
                connection if tls is None else tls.wrap_socket(connection, server_hostname=host)
            )
            if role is not None:
                self._ask(codec.authenticate_request(role, password))
        except BaseException:
            connection.close()
            raise

    def get(self, key: str, depth: int = 0) -> Object:
        """The object of a key, with its links followed to this depth; None if there is none."""
        return self._ask(codec.get_request(key, depth))

    def set(self, key: str, value: Object) -> Object:
        """Puts an object in place of another, and answers that; None if there was none."""
        return self._ask(codec.set_request(key, value))

    def delete(self, key: str) -> Object:
        """Removes an object, and answers it; None if there was none."""
        return self._ask(codec.delete_request(key))

    def link(self, key: str, target: str) -> Object:
        """Makes the object of a key a link to another's."""
        return self.set(key, Link(target))

    def watch(
        self, key: str | None = None, *, prefix: str | None = None, since: int = 0
    ) -> Iterator[Event]:
        """What is committed to a key, to all with a prefix, or to all, from now on or after a timestamp; and marks.

        The connection is of no other use then, and is closed when the iteration ends. Where that ends with an error, whoever goes on with the
        last mark as `since` on another connection misses nothing.
        """
        request = codec.watch_request(key, prefix, since)
        if self._socket is None:
            raise ClosedError("the connection is closed")
        try:
            self._socket.sendall(request)
            while True:
                yield codec.event(self._answer())
        finally:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def close(self) -> None:
        """Ends the connection."""
        connection, self._socket = self._socket, None
        if connection is not None:
            try:
                connection.sendall(codec.close_request())
            except OSError:
                # It is closed already.
                pass
            connection.close()

    def _ask(self, request: bytes) -> Object:
        if self._socket is None:
            raise ClosedError("the connection is closed")
        try:
            self._socket.sendall(request)
            return self._answer()
        except RefusedError:
            raise
        except BaseException:
            # What comes next on it is not known.
            self._socket.close()
            self._socket = None
            raise

    def _answer(self) -> Object:
        return codec.decode(self._take(codec.answer_length(self._take(8))))

    def _take(self, count: int) -> bytes:
        assert self._socket is not None
        taken = bytearray()
        while len(taken) < count:
            part = self._socket.recv(min(count - len(taken), 1 << 16))
            if not part:
                raise ClosedError("the server has closed the connection")
            taken += part
        return bytes(taken)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
