"""Errors: Prefect stores them by pickling, people read them."""

import inspect
import pickle
from datetime import UTC, datetime

import pytest

from shopsync import errors

EXAMPLES = {
    "str": "x",
    "int": 7,
    "float": 1.5,
    "int | None": None,
    "float | None": 4_000.5,
    "datetime": datetime(2026, 11, 23, tzinfo=UTC),
    "tuple[str, ...]": ("a", "b"),
}
KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.SyncError) and "__init__" in vars(kind)
]


def example(kind: type[errors.SyncError]) -> errors.SyncError:
    parameters = list(inspect.signature(kind).parameters.values())
    return kind(*(EXAMPLES[str(parameter.annotation)] for parameter in parameters))


@pytest.mark.parametrize("kind", KINDS)
def test_survives_pickling(kind):
    """An error comes back from Prefect's storage with its text and attributes."""
    error = example(kind)

    again = pickle.loads(pickle.dumps(error))

    assert str(error) == str(again)
    assert vars(error) == vars(again)


@pytest.mark.parametrize("kind", KINDS)
def test_message_is_one_line(kind):
    """Every failure ends in one clear line."""
    assert "\n" not in str(example(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_is_in_the_picture(kind):
    """The tree at the top of errors.py shows every type with its recovery."""
    assert f"─ {kind.__name__}" in (errors.__doc__ or "")


def test_jsonl_error_without_a_line_names_the_file():
    """A fault of the whole file has no line number."""
    assert "a.jsonl: no parent" == str(errors.JsonlError("a.jsonl", None, "no parent"))
    assert "a.jsonl, line 3: no parent" == str(errors.JsonlError("a.jsonl", 3, "no parent"))
