"""Keys and values in Nunatak, by its service over gRPC: see docs/doors.md."""

from .asynchronous import AsyncClient, AsyncTransaction
from .call import Error
from .client import Client, Transaction

__all__ = ["AsyncClient", "AsyncTransaction", "Client", "Error", "Transaction"]
