"""Objects in Nunatak, by its object protocol.

`Client` and `AsyncClient` read, write and delete objects under keys; `Link` is an object that stands for another.
"""

from .asynchronous import AsyncClient
from .client import Client
from .codec import ClosedError, Link, MalformedError, NunatakError, Object, RefusedError

__all__ = [
    "AsyncClient",
    "Client",
    "ClosedError",
    "Link",
    "MalformedError",
    "NunatakError",
    "Object",
    "RefusedError",
]
