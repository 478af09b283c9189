"""
What every task of the pipeline has in common.

Results are persisted as JSON and keyed by inputs and flow run, so a continued flow run finds its finished steps. A
step is tried again when the database or the lake failed: waits for Shopify have their home in the client, and no two
waits multiply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import INPUTS, RUN_ID, CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext

from shopsync.errors import DatabaseUnavailable, LakeUnavailable
from tasks import connections

P = ParamSpec("P")
R = TypeVar("R")

RETRIES = 3


def step(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a step of the pipeline, called `name` in Prefect's UI."""
    return task(
        name=name,
        persist_result=True,
        cache_policy=INPUTS + RUN_ID + CacheKeyFnPolicy(cache_key_fn=_task_name),
        result_serializer="json",
        retries=RETRIES,
        retry_jitter_factor=0.5,
        retry_condition_fn=_may_pass,
    )


def patiently(step: Task[P, R]) -> Task[P, R]:
    """Return the step with the back-off of this process's settings."""
    base_s = connections.settings().retry_base_s
    return step.with_options(retry_delay_seconds=[base_s * 4**n for n in range(RETRIES)])


def _task_name(context: TaskRunContext, _inputs: dict[str, Any]) -> str:
    # Without it two steps with equal inputs would share one result.
    return context.task.name


def _may_pass(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether the failure is one that a later try may not meet again."""
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, DatabaseUnavailable | LakeUnavailable)
