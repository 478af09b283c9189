"""What differs between two JSON values, in words."""

from __future__ import annotations

import json
from typing import Any

MISSING = object()

SHOWN = 80
"""How many characters of a value are shown."""


def differences(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Return a line for each place where `found` is not as wanted."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = sorted(wanted.keys() | found.keys())
        parts = ((key, wanted.get(key, MISSING), found.get(key, MISSING)) for key in keys)
        return [line for key, *two in parts for line in differences(*two, path=f"{path}.{key}" if path else key)]
    if wanted == found:
        return []
    if found is MISSING:
        return [f"{path} is missing, it should be {_shown(wanted)}"]
    if wanted is MISSING:
        return [f"{path} is {_shown(found)}, it should not be there"]
    return [f"{path} is {_shown(found)}, it should be {_shown(wanted)}"]


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
