"""
PyMySQL's connection, with a patience of its own for each thing that it waits for.

The driver has one for all answers, and a statement may take long. A server that takes connections and says nothing
would keep whoever opens one, or asks whether one still lives, just as long.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from pymysql.connections import Connection


class PatientConnection(Connection):  # pyright: ignore[reportMissingTypeArgument] - generic in its stubs alone
    """
    A connection whose opening takes `connect_timeout` at most for each step, and a sign of life `ping_s`.

    Args:
        ping_s: Seconds.
        named: What PyMySQL's own connection takes.
    """

    _read_timeout: float | None
    """The driver's own, which it looks at before each read."""

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

    @contextmanager
    def _waiting(self, patience_s: float | None) -> Generator[None]:
        usual_s, self._read_timeout = self._read_timeout, patience_s
        try:
            yield
        finally:
            self._read_timeout = usual_s
