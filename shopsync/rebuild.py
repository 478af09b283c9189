"""
The projection of all runs, made anew from sync.telemetry.

For a database that was restored or emptied, or that was down when records were written. One run at a time is in memory,
and runs may go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine

from shopsync.database.runs import project_anew
from shopsync.errors import RecordDamaged
from shopsync.journal import records_in, run_folders
from shopsync.lake import Lake


def rebuild_runs(lake: Lake, database: Engine, on_damage: Callable[[RecordDamaged], None]) -> int:
    """
    Project every run of the lake anew; return how many.

    A run with a damaged record is told to `on_damage` and left as it is, and so are rows of runs that the lake has no
    records of (any more).

    Raises:
        LakeUnavailable: The lake cannot be read.
        DatabaseError: The database fails.
    """
    rebuilt = 0
    for folder in run_folders(lake):
        try:
            records = records_in(lake, folder)
        except RecordDamaged as damage:
            on_damage(damage)
            continue
        if records:  # a folder of this machine may be empty
            project_anew(database, records)
            rebuilt += 1
    return rebuilt
