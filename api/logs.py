"""Structured logs: one JSON object a line, on the error output."""

from __future__ import annotations

import logging

from pythonjsonlogger.json import JsonFormatter


def configure_logs() -> None:
    """Send all logs of this process to the error output, as JSON."""
    handler = logging.StreamHandler()
    fields = "{asctime}{levelname}{name}{message}"
    handler.setFormatter(
        JsonFormatter(
            fields,
            style="{",
            rename_fields={"asctime": "at", "levelname": "level", "name": "logger"},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Its lines repeat URLs, and with them what a query holds.
    logging.getLogger("httpx").setLevel(logging.WARNING)
