"""A plugin for SQLAlchemy's and Alembic's tests: they go on where the server cannot make all extensions they begin with.

Both begin by creating `citext` and `hstore`, and end if that fails. `hstore` is left out: its tests fail one by one, then.
"""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    from sqlalchemy.dialects.postgresql import provision

    provision._extensions[:] = [extension for extension in provision._extensions if extension[0] != "hstore"]
