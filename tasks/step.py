"""
What every task of the pipeline has in common.

Results are persisted as JSON and keyed by inputs and flow run, so a continued flow run finds its finished steps. A
step is tried again when the database or the lake failed: waits for Shopify have their home in the client, and no two
waits multiply.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import INPUTS, RUN_ID, CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from shopsync.errors import DatabaseUnavailable, LakeUnavailable
from tasks import connections

P = ParamSpec("P")
R = TypeVar("R")

RETRIES = 3
PASSING = (DatabaseUnavailable, LakeUnavailable)
"""Failures that a later try may not meet again."""


class Step(Generic[P, R]):
    """
    A step of the pipeline: called, it is a task of Prefect's, with the back-off of this process's settings.

    `fn` is the function that it was made of.
    """

    def __init__(self, fn: Callable[P, R], name: str) -> None:
        self.fn = fn
        self._task = Task(
            fn,
            name=name,
            persist_result=True,
            cache_policy=INPUTS + RUN_ID + CacheKeyFnPolicy(cache_key_fn=_task_name),
            result_serializer="json",
            retries=RETRIES,
            retry_jitter_factor=0.5,
            retry_condition_fn=_may_pass,
        )

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> R:
        """Carry it out, unless this flow run has its result for the same arguments."""
        return self._patient()(*arguments, **named)

    def anew(self, *arguments: P.args, **named: P.kwargs) -> R:
        """
        Carry it out also where this flow run has its result.

        For whatever writes into the database or asks what is there: a restored one has lost it, and a repeat costs
        little.
        """
        return self._patient().with_options(refresh_cache=True)(*arguments, **named)

    def _patient(self) -> Task[P, R]:
        base_s = connections.settings().retry_base_s
        return self._task.with_options(retry_delay_seconds=[base_s * 4**n for n in range(RETRIES)])


def step(name: str) -> Callable[[Callable[P, R]], Step[P, R]]:
    """Make a function a step of the pipeline, called `name` in Prefect's UI."""
    return lambda fn: Step(fn, name)


def again(work: Callable[P, R]) -> Callable[P, R]:
    """Return what is no step, so that it is tried again as a step is when the database or the lake fails."""

    @wraps(work)
    def tried(*arguments: P.args, **named: P.kwargs) -> R:
        base_s = connections.settings().retry_base_s
        tries = Retrying(
            retry=retry_if_exception_type(PASSING),
            stop=stop_after_attempt(1 + RETRIES),
            wait=lambda state: base_s * 4.0 ** (state.attempt_number - 1),
            sleep=time.sleep,
            reraise=True,
        )
        return tries(work, *arguments, **named)

    return tried


def _task_name(context: TaskRunContext, _inputs: dict[str, Any]) -> str:
    # Without it two steps with equal inputs would share one result.
    return context.task.name


def _may_pass(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether the failure is one that a later try may not meet again."""
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, PASSING)
