"""A client that waits."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Callable, Iterator, TypeVar

import grpc

from . import call
from .call import Error
from .v1 import kv_pb2, kv_pb2_grpc

T = TypeVar("T")


class _Pairs:
    """What can be asked, in a transaction, or in one for each call."""

    def __init__(self, client: "Client", transaction: int) -> None:
        self._client = client
        self._transaction = transaction

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; None if there is none."""
        answer = self._client._ask("Get", kv_pb2.GetRequest(transaction=self._transaction, key=key))
        return answer.value if answer.HasField("value") else None

    def set(self, key: bytes, value: bytes) -> None:
        """Puts a value in place of what was there."""
        self._client._ask("Set", kv_pb2.SetRequest(transaction=self._transaction, key=key, value=value))

    def delete(self, key: bytes) -> bool:
        """Removes a key; whether there was one."""
        return self._client._ask("Delete", kv_pb2.DeleteRequest(transaction=self._transaction, key=key)).deleted

    def scan(
        self, start: bytes = b"", end: bytes = b"", *, limit: int = 0, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs in the order of their keys, from one on up to another."""
        request = kv_pb2.ScanRequest(
            transaction=self._transaction, start=start, end=end, limit=limit, reverse=reverse
        )
        for answer in self._client._stream("Scan", request):
            for pair in answer.pairs:
                yield pair.key, pair.value


class Transaction(_Pairs):
    """A transaction: committed at the end of its `with`, rolled back after an exception."""

    def commit(self) -> None:
        """Makes what it has done last."""
        self._client._ask("Commit", kv_pb2.CommitRequest(transaction=self._transaction))

    def rollback(self) -> None:
        """Ends it without effect."""
        self._client._ask("Rollback", kv_pb2.RollbackRequest(transaction=self._transaction))

    def __enter__(self) -> "Transaction":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.commit()
            return
        try:
            self.rollback()
        except Error:
            pass  # It ends by itself; what is told is why.


class Client(_Pairs):
    """A connection to a gateway's key-value service. Threads may share it."""

    def __init__(
        self,
        address: str = "127.0.0.1:7228",
        *,
        role: str | None = None,
        password: str = "",
        tls: grpc.ChannelCredentials | None = None,
        timeout: float | None = 60.0,
    ) -> None:
        """Connects when it is first used, encrypted if `tls` is given."""
        super().__init__(self, 0)
        self._metadata = call.metadata(role, password)
        self._timeout = timeout
        self._channel = (
            grpc.insecure_channel(address, options=call.OPTIONS)
            if tls is None
            else grpc.secure_channel(address, tls, options=call.OPTIONS)
        )
        self._stub = kv_pb2_grpc.KvStub(self._channel)

    def begin(self, *, read_only: bool = False) -> Transaction:
        """Begins a transaction."""
        answer = self._ask("Begin", kv_pb2.BeginRequest(mode=call.mode(read_only)))
        return Transaction(self, answer.transaction)

    def run(self, work: Callable[[Transaction], T], *, read_only: bool = False) -> T:
        """Does work in a transaction, which is run again where others were in its way."""
        attempt = 0
        while True:
            try:
                with self.begin(read_only=read_only) as transaction:
                    return work(transaction)
            except Error as error:
                attempt += 1
                if not error.retryable or attempt >= call.ATTEMPTS:
                    raise
                time.sleep(call.pause(attempt))

    def watch(
        self,
        key: bytes | None = None,
        *,
        prefix: bytes | None = None,
        start: bytes = b"",
        end: bytes = b"",
        since: int = 0,
    ) -> Iterator[kv_pb2.WatchResponse]:
        """What is committed to a key, to all with a prefix, or to a span, as it is; and up to when all was told (`resolved`)."""
        return self._stream("Watch", call.watch_request(key, prefix, start, end, since), timeout=None)

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, method, request):
        try:
            return getattr(self._stub, method)(request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise Error(error) from error

    def _stream(self, method, request, timeout: float | None = -1):
        within = self._timeout if timeout == -1 else timeout
        answers = getattr(self._stub, method)(request, timeout=within, metadata=self._metadata)
        try:
            yield from answers
        except grpc.RpcError as error:
            raise Error(error) from error
        finally:
            answers.cancel()
