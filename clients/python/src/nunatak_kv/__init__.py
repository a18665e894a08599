"""Objects in Nunatak, by its object protocol.

`Client` and `AsyncClient` read, write, delete and watch objects under keys; `Link` is an object that stands for another.
"""

from .asynchronous import AsyncClient
from .client import Client
from .codec import (
    Change,
    ClosedError,
    Event,
    Link,
    MalformedError,
    NunatakError,
    Object,
    RefusedError,
    Resolved,
)

__all__ = [
    "AsyncClient",
    "Change",
    "Client",
    "ClosedError",
    "Event",
    "Link",
    "MalformedError",
    "NunatakError",
    "Object",
    "RefusedError",
    "Resolved",
]
