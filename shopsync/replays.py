"""
Which archives a replay reads: one by its key, all of a run (a backfill's windows too), or all of some days.

Manifests vouch for archives, so what is chosen is manifests, each with the files that are meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from shopsync.archive import Manifest, read_manifest
from shopsync.errors import ArchiveMismatch, ArchiveUnknown, WindowError
from shopsync.lake import RAW_ORDERS, Lake, draft_key, manifest_key_beside

_MANIFEST = re.compile(r".*/date=(?P<day>\d{4}-\d{2}-\d{2})/run_id=(?P<run_id>[^/]+)/manifest\.json")


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody wants replayed: exactly one of a key, a run, and days (both included, by the archives' `date=`)."""

    archive: str | None = None
    of_run: str | None = None
    first_day: date | None = None
    last_day: date | None = None

    def __str__(self) -> str:
        if self.archive is not None:
            return self.archive
        return f"run {self.of_run}" if self.of_run is not None else f"the days {self.first_day} to {self.last_day}"

    def require_one(self) -> None:
        """Raise WindowError unless it is clear what is wanted."""
        days = (self.first_day, self.last_day)
        wanted = [self.archive is not None, self.of_run is not None, days != (None, None)]
        if sum(wanted) != 1:
            raise WindowError("a replay needs one of an archive's key, a run, and a first and a last day")
        if self.first_day is not None or self.last_day is not None:
            if self.first_day is None or self.last_day is None:
                raise WindowError("a replay of days needs the first and the last of them")
            if self.first_day > self.last_day:
                raise WindowError(f"the first day {self.first_day} comes after the last, {self.last_day}")


def chosen_manifests(lake: Lake, choice: Choice) -> list[Manifest]:
    """
    Return the manifests of what was chosen, in the order in which their runs were asked for, at least one.

    Raises:
        WindowError: What was asked for is nothing, or several things at once, or of several shops.
        ArchiveUnknown: The lake has nothing of it.
        ArchiveMismatch: A manifest cannot be read, or does not name the archive.
        LakeUnavailable: The lake cannot be read.
    """
    choice.require_one()
    found = [_of_archive(lake, choice.archive)] if choice.archive is not None else _of_many(lake, choice)
    if not found:
        raise ArchiveUnknown(str(lake), str(choice))
    shops = sorted({manifest.shop for manifest in found})
    if len(shops) > 1:
        raise WindowError(f"{choice} holds archives of several shops ({', '.join(shops)}): replay them one by one")
    return sorted(found, key=lambda manifest: (manifest.requested_at, manifest.window.start, manifest.run_id))


def _of_archive(lake: Lake, key: str) -> Manifest:
    inside = key.startswith(f"{RAW_ORDERS}/") and ".." not in key
    manifest = read_manifest(lake, manifest_key_beside(key)) if inside else None
    draft = read_manifest(lake, draft_key(key)) if inside else None
    if draft is not None and (manifest is None or manifest.operation_id != draft.operation_id):
        manifest = draft  # its run did not get through it, or had a better one in its place
    if manifest is None or not lake.exists(key):
        raise ArchiveUnknown(str(lake), key)
    files = tuple(file for file in manifest.files if file.key == key)
    if not files:
        raise ArchiveMismatch(key, "the manifest beside it does not name it")
    return replace(manifest, files=files)


def _of_many(lake: Lake, choice: Choice) -> list[Manifest]:
    matches = [found for key in lake.list(RAW_ORDERS) if (found := _MANIFEST.fullmatch(key))]
    if choice.of_run is None:
        return _read(
            lake, [each[0] for each in matches if str(choice.first_day) <= each["day"] <= str(choice.last_day)]
        )
    own = [each[0] for each in matches if each["run_id"] == choice.of_run]
    if own:
        return _read(lake, own)
    # A backfill has no archive itself: its windows' manifests name it.
    every = _read(lake, [each[0] for each in matches])
    return [manifest for manifest in every if manifest.parent_run_id == choice.of_run]


def _read(lake: Lake, keys: Sequence[str]) -> list[Manifest]:
    return [manifest for key in keys if (manifest := read_manifest(lake, key)) is not None]
