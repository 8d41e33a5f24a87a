"""Django's PostgreSQL backend, for a database that may be away, hung or read-only.

Whatever keeps PostgreSQL from serving comes out as an OperationalError, and soon: a request
is answered with 503, and a worker keeps its answer and tries again.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from django.db import OperationalError
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property
from psycopg.errors import ReadOnlySqlTransaction

from sagaproject.postgresql.pool import Pool


class DatabaseWrapper(base.DatabaseWrapper):
    """Takes its connections from a pool that knows when the database is away."""

    @property
    def pool(self) -> Any:
        """Django's pool for this database, but of our class."""
        options = self.settings_dict["OPTIONS"].get("pool")
        pools: dict[str, Pool] = vars(base.DatabaseWrapper)["_connection_pools"]
        if options and self.alias not in (NO_DB_ALIAS, *pools):
            made = Pool(
                kwargs=self.get_connection_params() | {"autocommit": True},
                open=False,
                configure=self._configure_connection,  # type: ignore[attr-defined]
                check=Pool.check_connection,
                **options,
            )
            pools.setdefault(self.alias, made)  # of racing threads one wins, as in Django
        return super().pool

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        """Django's translation of the driver's errors, with one more."""
        return _Errors(self)


class _Errors(DatabaseErrorWrapper):
    def __init__(self, wrapper: base.DatabaseWrapper) -> None:
        super().__init__(wrapper)
        self._wrapper = wrapper

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A standby, or a primary that was put on hold: it may write again in a while. As the
        # InternalError that it is by its class it would be taken for a bug.
        if isinstance(error, ReadOnlySqlTransaction):
            self._wrapper.errors_occurred = True
            raise OperationalError(*error.args).with_traceback(traceback) from error
        super().__exit__(kind, error, traceback)
