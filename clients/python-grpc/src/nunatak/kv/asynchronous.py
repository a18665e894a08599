"""A client for asyncio."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import AsyncIterator, Awaitable, Callable, TypeVar

import grpc
import grpc.aio

from . import call
from .call import Error
from .v1 import kv_pb2, kv_pb2_grpc

T = TypeVar("T")


class _Pairs:
    """What can be asked, in a transaction, or in one for each call."""

    def __init__(self, client: "AsyncClient", transaction: int) -> None:
        self._client = client
        self._transaction = transaction

    async def get(self, key: bytes) -> bytes | None:
        """The value of a key; None if there is none."""
        answer = await self._client._ask("Get", kv_pb2.GetRequest(transaction=self._transaction, key=key))
        return answer.value if answer.HasField("value") else None

    async def set(self, key: bytes, value: bytes) -> None:
        """Puts a value in place of what was there."""
        await self._client._ask("Set", kv_pb2.SetRequest(transaction=self._transaction, key=key, value=value))

    async def delete(self, key: bytes) -> bool:
        """Removes a key; whether there was one."""
        request = kv_pb2.DeleteRequest(transaction=self._transaction, key=key)
        return (await self._client._ask("Delete", request)).deleted

    async def scan(
        self, start: bytes = b"", end: bytes = b"", *, limit: int = 0, reverse: bool = False
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """Pairs in the order of their keys, from one on up to another."""
        request = kv_pb2.ScanRequest(
            transaction=self._transaction, start=start, end=end, limit=limit, reverse=reverse
        )
        async for answer in self._client._stream("Scan", request):
            for pair in answer.pairs:
                yield pair.key, pair.value


class AsyncTransaction(_Pairs):
    """A transaction: committed at the end of its `async with`, rolled back after an exception."""

    async def commit(self) -> None:
        """Makes what it has done last."""
        await self._client._ask("Commit", kv_pb2.CommitRequest(transaction=self._transaction))

    async def rollback(self) -> None:
        """Ends it without effect."""
        await self._client._ask("Rollback", kv_pb2.RollbackRequest(transaction=self._transaction))

    async def __aenter__(self) -> "AsyncTransaction":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.commit()
            return
        try:
            await self.rollback()
        except Error:
            pass  # It ends by itself; what is told is why.


class AsyncClient(_Pairs):
    """A connection to a gateway's key-value service. Tasks may share it."""

    def __init__(
        self,
        address: str = "127.0.0.1:7228",
        *,
        role: str | None = None,
        password: str = "",
        tls: grpc.ChannelCredentials | None = None,
        timeout: float | None = 60.0,
    ) -> None:
        """Connects when it is first used, encrypted if `tls` is given. To be made where a loop runs."""
        super().__init__(self, 0)
        self._metadata = call.metadata(role, password)
        self._timeout = timeout
        self._channel = (
            grpc.aio.insecure_channel(address, options=call.OPTIONS)
            if tls is None
            else grpc.aio.secure_channel(address, tls, options=call.OPTIONS)
        )
        self._stub = kv_pb2_grpc.KvStub(self._channel)

    async def begin(self, *, read_only: bool = False) -> AsyncTransaction:
        """Begins a transaction."""
        answer = await self._ask("Begin", kv_pb2.BeginRequest(mode=call.mode(read_only)))
        return AsyncTransaction(self, answer.transaction)

    async def run(self, work: Callable[[AsyncTransaction], Awaitable[T]], *, read_only: bool = False) -> T:
        """Does work in a transaction, which is run again where others were in its way."""
        attempt = 0
        while True:
            try:
                async with await self.begin(read_only=read_only) as transaction:
                    return await work(transaction)
            except Error as error:
                attempt += 1
                if not error.retryable or attempt >= call.ATTEMPTS:
                    raise
                await asyncio.sleep(call.pause(attempt))

    def watch(
        self,
        key: bytes | None = None,
        *,
        prefix: bytes | None = None,
        start: bytes = b"",
        end: bytes = b"",
        since: int = 0,
    ) -> AsyncIterator[kv_pb2.WatchResponse]:
        """What is committed to a key, to all with a prefix, or to a span, as it is; and up to when all was told (`resolved`)."""
        return self._stream("Watch", call.watch_request(key, prefix, start, end, since), timeout=None)

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, method, request):
        try:
            return await getattr(self._stub, method)(request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise Error(error) from error

    async def _stream(self, method, request, timeout: float | None = -1):
        within = self._timeout if timeout == -1 else timeout
        answers = getattr(self._stub, method)(request, timeout=within, metadata=self._metadata)
        try:
            async for answer in answers:
                yield answer
        except grpc.RpcError as error:
            raise Error(error) from error
        finally:
            answers.cancel()
