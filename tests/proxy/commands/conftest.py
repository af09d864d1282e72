"""The archive of one day that the audit's own tests read, for the commands that ask it."""

from tests.proxy.audit.conftest import database, desk, sqlite_place

__all__ = ["database", "desk", "sqlite_place"]
