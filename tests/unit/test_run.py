"""What a run is, read from its records."""

from datetime import timedelta

from shopsync.run import Run, going_on_since
from shopsync.telemetry import Step
from shopsync.window import SyncWindow, WindowField
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


def test_window_of_a_backfill_is_known():
    """What the window cuts, and whose window it is, come from the first record."""
    created = SyncWindow(WHOLE.start, WHOLE.end, WindowField.CREATED)

    run = Run.of([record(Step.INITIATED, 0, window_field=WindowField.CREATED, parent_run_id="parent")])

    assert (created, "parent") == (run.whole, run.parent_run_id)


def test_patience_counts_over_all_processes():
    """A flow run that goes on has been patient since its first record."""
    told = [record(Step.INITIATED, 0), record(Step.REQUEST, 5), record(Step.REQUEST, 900)]

    assert START == going_on_since(told, told[0].flow_run_id)


def test_patience_begins_anew_after_a_failure():
    """Who starts a failed run again has a budget of its own, from the first record on."""
    told = [record(Step.INITIATED, 0), record(Step.FAILED, 5), record(Step.POLL, 900), record(Step.UPSERT, 950)]

    assert going_on_since(told[:2], told[0].flow_run_id) is None
    assert START + timedelta(seconds=900) == going_on_since(told, told[0].flow_run_id)


def test_patience_begins_anew_in_another_flow_run():
    """Who starts a run again that was killed, and could not say so, begins its budget anew."""
    told = [record(Step.INITIATED, 0), record(Step.POLL, 5)]

    assert going_on_since(told, "another") is None
    assert START + timedelta(seconds=9) == going_on_since(
        [*told, record(Step.POLL, 9, flow_run_id="another")], "another"
    )
