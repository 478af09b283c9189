"""
PyMySQL's connection, with a patience of its own for each thing that it waits for, and what it hears but does not tell.

The driver has one patience for all answers, and a statement may take long. A server that takes connections and says
nothing would keep whoever opens one, or asks whether one still lives, just as long.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from pymysql.connections import Connection

_DUPLICATES = re.compile(rb"Duplicates: (\d+)")
"""Source: MySQL 8.4 C API, `mysql_info()`; MariaDB answers the same. Of one row alone nothing is told."""


class PatientConnection(Connection):  # pyright: ignore[reportMissingTypeArgument] - generic in its stubs alone
    """
    A connection whose opening takes `connect_timeout` at most for each step, and a sign of life `ping_s`.

    Args:
        ping_s: Seconds.
        named: What PyMySQL's own connection takes.
    """

    _read_timeout: float | None
    """The driver's own, which it looks at before each read."""
    _result: Any
    """The driver's own, of the last statement."""

    def __init__(self, *, ping_s: float, **named: Any) -> None:
        self._ping_s = ping_s
        super().__init__(**named)

    def connect(self, sock: Any = None) -> None:
        """Open it, and let the server introduce itself."""
        with self._waiting(self.connect_timeout):
            super().connect(sock)

    def ping(self, *given: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - theirs is deprecated
        """Return when the server answers."""
        with self._waiting(self._ping_s):
            super().ping(*given)

    def duplicates(self) -> int | None:
        """
        Return how many rows of the last upsert were there already, changed by it or not.

        None when the server did not say. Source: MySQL 8.4, "INSERT ... ON DUPLICATE KEY UPDATE", `CLIENT_FOUND_ROWS`,
        which SQLAlchemy asks for: without that flag only those that were changed would count.
        """
        message: bytes | None = self._result.message
        told = _DUPLICATES.search(message or b"")
        return int(told[1]) if told else None

    @contextmanager
    def _waiting(self, patience_s: float | None) -> Generator[None]:
        usual_s, self._read_timeout = self._read_timeout, patience_s
        try:
            yield
        finally:
            self._read_timeout = usual_s
