"""The page of what is survived: a row may get better, never worse unnoticed."""

from pathlib import Path

import pytest

from tests.proof.matrix import ROWS, Outcome
from tests.proof.reliability import MARK, changed_for_the_worse, render, tell

ALL = {name: [True] for name in ROWS}


def test_page_of_this_run_is_kept() -> None:
    """What was shown is shown again, or by more tests."""
    assert [] == changed_for_the_worse(render(ALL), {name: [True, True] for name in ROWS})


def test_row_with_fewer_tests_is_told() -> None:
    """A case that is gone is a case less that is known to be survived."""
    (told,) = changed_for_the_worse(render(ALL | {"throttled": [True, True]}), ALL)

    assert "- throttled: by 1 test, where the page says 2" == told


def test_row_that_claims_less_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is left out of the matrix, or has a weaker outcome, is not forgotten."""
    page = render(ALL)
    monkeypatch.setitem(ROWS, "throttled", ROWS["throttled"]._replace(outcome=Outcome.FAILS))

    (told,) = changed_for_the_worse(page, ALL)

    assert "- throttled | completes, exact: no row of the matrix says so any more" == told


def test_row_that_breaks_is_told() -> None:
    """One failing test of several is enough."""
    (told,) = changed_for_the_worse(render(ALL), ALL | {"throttled": [True, False]})

    assert "- throttled: **broken**, where the page says 1" == told


def test_row_without_its_tests_is_told() -> None:
    """Tests that are gone, or left out, prove nothing."""
    (told,) = changed_for_the_worse(render(ALL), ALL | {"throttled": []})

    assert "- throttled: no test, where the page says 1" == told


def test_row_that_never_held_is_no_loss() -> None:
    """What the page does not claim may still be missing."""
    assert [] == changed_for_the_worse(render(ALL | {"throttled": []}), ALL | {"throttled": []})


def test_long_proof_takes_the_place_of_its_older_self(tmp_path: Path) -> None:
    """What the tests wrote above, and the rows of the other proofs, stay."""
    page = tmp_path / "reliability.md"
    page.write_text(f"{render(ALL)}\n{MARK}\n", "utf-8")

    for done, found in [("kills", "1 of 1"), ("histories", "20"), ("kills", "500 of 500")]:
        tell(page, done, found)

    above, _, below = page.read_text("utf-8").partition(MARK)
    assert f"{render(ALL)}\n" == above
    assert ["| histories | 20 |", "| kills | 500 of 500 |"] == below.splitlines()[-2:]
    assert 1 == below.count("|---|---|")
