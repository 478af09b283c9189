"""docs/why.md gives each dependency its reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_dependency_has_a_reason() -> None:
    """The table names what pyproject.toml asks for, of the product and of the tests, and nothing else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    table = (ROOT / "docs" / "why.md").read_text("utf-8").partition("## Dependencies")[2]
    names = re.findall(r"^\| (?!library|---)(.+?) \|", table, flags=re.MULTILINE)

    assert sorted(re.split(r"[^\w-]", each)[0] for each in asked) == sorted(", ".join(names).split(", "))
