"""Answers that several who ask at once share: a neighbour is asked once, and not by each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Answer:
    future: Future[Any]
    until: float


class Shared:
    """
    Answers by what was asked, shared while they are on their way and for `fresh_s` afterwards.

    An empty answer is not kept: what was not there may be there by now.
    """

    def __init__(self, fresh_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._fresh_s = fresh_s
        self._clock = clock
        self._lock = Lock()
        self._answers: dict[Hashable, _Answer] = {}

    def ask(self, key: Hashable, ask: Callable[[], T]) -> T:
        """Return what `ask` says, or what it said to whoever asked under this key; its failure is theirs too."""
        with self._lock:
            now = self._clock()
            self._answers = {name: answer for name, answer in self._answers.items() if now < answer.until}
            known = self._answers.get(key)
            mine = _Answer(Future(), until=float("inf"))
            if known is None:
                self._answers[key] = mine
        if known is not None:
            return known.future.result()
        try:
            found = ask()
        except BaseException as error:
            self._keep(mine, 0.0)
            mine.future.set_exception(error)
            raise
        self._keep(mine, self._fresh_s if found else 0.0)
        mine.future.set_result(found)
        return found

    def _keep(self, answer: _Answer, for_s: float) -> None:
        with self._lock:
            answer.until = self._clock() + for_s
