"""A client for asyncio."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import AsyncIterator

from . import codec
from .codec import ClosedError, Event, Link, Object, RefusedError


class AsyncClient:
    """A connection to a gateway's object protocol. Tasks may share it: their requests go one after the other."""

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
        """Connects when it is entered, or first used."""
        self._host = host
        self._port = port
        self._role = role
        self._password = password
        self._tls = tls
        self._timeout = timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._lock = asyncio.Lock()

    async def get(self, key: str, depth: int = 0) -> Object:
        """The object of a key, with its links followed to this depth; None if there is none."""
        return await self._ask(codec.get_request(key, depth))

    async def set(self, key: str, value: Object) -> Object:
        """Puts an object in place of another, and answers that; None if there was none."""
        return await self._ask(codec.set_request(key, value))

    async def delete(self, key: str) -> Object:
        """Removes an object, and answers it; None if there was none."""
        return await self._ask(codec.delete_request(key))

    async def link(self, key: str, target: str) -> Object:
        """Makes the object of a key a link to another's."""
        return await self.set(key, Link(target))

    async def watch(
        self, key: str | None = None, *, prefix: str | None = None, since: int = 0
    ) -> AsyncIterator[Event]:
        """What is committed to a key, to all with a prefix, or to all, from now on or after a timestamp; and marks.

        The connection is of no other use meanwhile, and is closed when the iteration ends. Where that ends with an error, whoever goes
        on with the last mark as `since` misses nothing.
        """
        request = codec.watch_request(key, prefix, since)
        async with self._lock:
            try:
                reader, writer = await asyncio.wait_for(self._connect(), self._timeout)
                writer.write(request)
                await writer.drain()
                while True:
                    answer = await asyncio.wait_for(self._answer(reader), self._timeout)
                    yield codec.event(answer)
            finally:
                self._forget()

    async def close(self) -> None:
        """Ends the connection."""
        streams, self._streams = self._streams, None
        if streams is not None:
            try:
                streams[1].write(codec.close_request())
                streams[1].close()
                await streams[1].wait_closed()
            except OSError:
                # It is closed already.
                pass

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            streams = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
            self._streams = streams
            if self._role is not None:
                try:
                    await self._exchange(streams, codec.authenticate_request(self._role, self._password))
                except BaseException:
                    self._forget()
                    raise
        return self._streams

    async def _ask(self, request: bytes) -> Object:
        async with self._lock:
            try:
                return await asyncio.wait_for(self._once(request), self._timeout)
            except RefusedError:
                raise
            except BaseException:
                # What comes next on it is not known.
                self._forget()
                raise

    async def _once(self, request: bytes) -> Object:
        return await self._exchange(await self._connect(), request)

    async def _exchange(
        self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes
    ) -> Object:
        reader, writer = streams
        writer.write(request)
        await writer.drain()
        return await self._answer(reader)

    async def _answer(self, reader: asyncio.StreamReader) -> Object:
        try:
            head = await reader.readexactly(8)
            answer = await reader.readexactly(codec.answer_length(head))
        except asyncio.IncompleteReadError as error:
            raise ClosedError("the server has closed the connection") from error
        return codec.decode(answer)

    def _forget(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()

    async def __aenter__(self) -> AsyncClient:
        async with self._lock:
            await asyncio.wait_for(self._connect(), self._timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
