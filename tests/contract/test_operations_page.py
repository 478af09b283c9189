"""docs/operations.md tells operators the settings and the messages that the code has."""

from __future__ import annotations

import re
from pathlib import Path

from shopsync.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
SECTIONS = {part.partition("\n")[0].strip("# "): part for part in re.split(r"^(?=## )", PAGE, flags=re.MULTILINE)}
SHIPPED = [path for part in ("shopsync", "tasks", "api", "deployments") for path in (ROOT / part).rglob("*.py")]
CODE = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text("utf-8") for path in SHIPPED))
"""What is shipped, with texts over several lines joined."""


def _rows(section: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in SECTIONS[section].splitlines() if line.startswith("| ")]


def test_every_setting_has_its_default() -> None:
    """All variables, in the order of the settings, with their defaults; those of other kinds are told in words."""
    told = re.findall(r"^\| `SHOPSYNC_(\w+)` \|(?: `(.+?)`)? \|", SECTIONS["Settings"], flags=re.MULTILINE)

    assert [(name.upper(), _plain(field.default)) for name, field in Settings.model_fields.items()] == told


def test_messages_are_the_codes() -> None:
    """What an operator looks up is what the code says, word for word."""
    quoted = [text for row in _rows("Troubleshooting") for text in re.findall(r"`([^`]+)`", row[0])]
    fragments = [words for text in quoted for words in re.split(r"\W*\.\.\.\W*", text) if words]

    assert 40 < len(fragments)
    assert [] == [words for words in fragments if words not in CODE]


def _plain(default: object) -> str:
    """Return a default as text; none of those that are made at the start, or that are no text."""
    match default:
        case tuple():
            return ",".join(default)
        case int() | float() | str() | Path():
            return str(default)
        case _:
            return ""
