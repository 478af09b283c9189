"""What a run is, read from its records."""

from datetime import timedelta

from shopsync.run import Run
from shopsync.telemetry import Step
from shopsync.window import SyncWindow
from tests.unit.test_report import START, record

WHOLE = SyncWindow(START - timedelta(days=1), START)


def test_run_is_what_its_first_record_says():
    """Window and watermark are those that the run was begun with."""
    run = Run.of([record(Step.INITIATED, 0)])

    assert (WHOLE, WHOLE) == (run.whole, run.window)
    assert START - timedelta(days=1) == run.watermark_before
    assert not run.completed


def test_halved_window_is_remembered():
    """A resumed run goes on with the half that it was asking for, and knows the whole."""
    half = WHOLE.first_half()

    run = Run.of([record(Step.INITIATED, 0), record(Step.REQUEST, 5, window_end=half.end)])

    assert (WHOLE, half) == (run.whole, run.window)


def test_refused_begin_is_no_begin():
    """A record from before the run could begin has no window; the run is what its initiated record says."""
    refused = record(Step.FAILED, 0, window_start=None, window_end=None)

    assert WHOLE == Run.of([refused, record(Step.INITIATED, 5)]).whole


def test_completed_run_is_known():
    """A run that completed has nothing left to do."""
    assert Run.of([record(Step.INITIATED, 0), record(Step.COMPLETED, 9)]).completed
