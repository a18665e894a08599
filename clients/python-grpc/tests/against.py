"""The client against a gateway, whose address is the argument: all of it once."""

import asyncio
import sys
import threading

import grpc

from nunatak.kv import AsyncClient, Client, Error


def waiting(address: str) -> None:
    with Client(address) as client:
        assert client.get(b"py/a") is None
        client.set(b"py/a", b"\x00\xff")
        assert client.get(b"py/a") == b"\x00\xff"
        assert list(client.scan(b"py/", b"py0")) == [(b"py/a", b"\x00\xff")]
        with client.begin() as transaction:
            transaction.set(b"py/b", b"1")
            assert client.get(b"py/b") is None
            assert [key for key, _ in transaction.scan(b"py/", b"py0", reverse=True)] == [b"py/b", b"py/a"]
        assert client.get(b"py/b") == b"1"
        try:
            with client.begin() as transaction:
                transaction.set(b"py/b", b"2")
                raise KeyError("given up")
        except KeyError:
            pass
        assert client.get(b"py/b") == b"1"
        try:
            with client.begin(read_only=True) as transaction:
                transaction.set(b"py/b", b"3")
            raise SystemExit("a read only transaction has written")
        except Error as error:
            assert (error.code, error.sqlstate, error.retryable) == (
                grpc.StatusCode.FAILED_PRECONDITION,
                "25006",
                False,
            ), error
        client.set(b"py/n", b"0")

        def count(transaction) -> None:
            transaction.set(b"py/n", str(int(transaction.get(b"py/n")) + 1).encode())

        threads = [threading.Thread(target=client.run, args=(count,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.get(b"py/n") == b"4", client.get(b"py/n")
        watch = client.watch(prefix=b"py/")
        assert next(watch).resolved > 0
        assert client.delete(b"py/a") and not client.delete(b"py/a")
        changes = []
        while not changes:
            changes.extend(next(watch).changes)
        assert [(change.key, change.HasField("value")) for change in changes] == [(b"py/a", False)]
        watch.close()


async def at_once(address: str) -> None:
    async with AsyncClient(address) as client:
        await client.set(b"py/c", b"1")

        async def work(transaction):
            value = await transaction.get(b"py/c")
            await transaction.set(b"py/d", value)
            return value

        assert await client.run(work) == b"1"
        pairs = [pair async for pair in client.scan(b"py/c", b"py/e")]
        assert pairs == [(b"py/c", b"1"), (b"py/d", b"1")], pairs
        async for message in client.watch(b"py/c"):
            if message.resolved:
                break
        for key in (b"py/b", b"py/c", b"py/d", b"py/n"):
            assert await client.delete(key)


waiting(sys.argv[1])
asyncio.run(at_once(sys.argv[1]))
print("all of it")
