"""
`python -m deployments apply|check` on a real Prefect server that lets nobody in without its auth string.

A run is started on ECS as moto plays it; tests/e2e/test_deployed_runs.py has those on a process worker.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from playwright.sync_api import Page
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.states import Failed

from deployments import parts
from deployments.automations import Timing
from deployments.preparation import wanted
from tests.e2e.conftest import AUTH_STRING
from tests.e2e.world import World, now, opened
from tests.services.chromium import browser_page
from tests.simulator import Shop
from tests.waiting import PATIENCE_S, until

DAILY = "daily-sync/daily"
POOL = "shopsync"


@pytest.fixture(scope="module")
def world(prefect: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A small shop, and everything that its runs touch."""
    shop = Shop(seed=5, orders=40, now=now() - timedelta(minutes=5), days=60)
    with opened(shop, tmp_path_factory.mktemp("deployed"), prefect) as world:
        yield world


@pytest.fixture(scope="module")
def server(prefect: Mapping[str, str]) -> Iterator[SyncPrefectClient]:
    """A client of the server."""
    with get_client(sync_client=True) as client:
        yield client


def deployments(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator does."""
    command = [sys.executable, "-m", "deployments", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.fixture(scope="module")
def applied(world: World, server: SyncPrefectClient) -> Iterator[dict[str, str]]:
    """The environment of a server that was prepared; the tests leave it so."""
    done = deployments(world.environ, "apply")
    assert 0 == done.returncode, done.stderr
    assert f"work pool {POOL}: created" in done.stdout
    yield world.environ
    # Counting for them every event of the runs of all other tests, the server would lock its SQLite file for minutes.
    for automation in server.read_automations():
        server.delete_automation(automation.id)


def test_wrong_auth_string(world: World):
    """Who is not let in is told which variable to set, in one line."""
    done = deployments(world.environ | {"PREFECT_API_AUTH_STRING": "operator:wrong"}, "check")

    assert 1 == done.returncode
    (line,) = done.stderr.splitlines()
    assert line.startswith("shopsync: Prefect at http://127.0.0.1:")
    assert "refuses this process (401): set PREFECT_API_AUTH_STRING" in line


def apply(environ: Mapping[str, str], server: SyncPrefectClient, timing: Timing = Timing()) -> int:  # noqa: B008
    """Apply in this process; return how many parts changed."""
    return parts.apply(wanted(environ, server, timing), server, lambda _line: None)


def check(environ: Mapping[str, str], server: SyncPrefectClient) -> str:
    """Check in this process; return what it says."""
    lines: list[str] = []
    parts.check(wanted(environ, server), server, lines.append)
    return "\n".join(lines)


def test_applied_twice(applied: Mapping[str, str], server: SyncPrefectClient):
    """A second time changes nothing, and nothing differs."""
    again = deployments(applied, "apply")

    assert (0, "Nothing to change.\n") == (again.returncode, again.stdout)
    assert "" == check(applied, server)


def test_older_state_is_upgraded(applied: Mapping[str, str], server: SyncPrefectClient):
    """Each difference is named by its place, and applying repairs all of them."""
    daily = server.read_deployment_by_name(DAILY)
    server.update_deployment(daily.id, DeploymentUpdate(version="0.0.1", tags=["old"]))
    server.update_deployment_schedule(daily.id, daily.schedules[0].id, schedule=cron("0 7 * * *"))
    template = server.read_work_pool(POOL).base_job_template
    del template["variables"]["properties"]["env"]["default"]
    server.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template))
    (sweep,) = server.read_automations_by_name("shopsync: dead runs")
    server.delete_automation(sweep.id)

    before = deployments(applied, "check")
    changed = apply(applied, server)

    assert 1 == before.returncode
    assert 'deployment daily-sync/daily: version is "0.0.1", it should be' in before.stdout
    assert 'deployment daily-sync/daily: schedules.daily.schedule.cron is "0 7 * * *"' in before.stdout
    assert "work pool shopsync: variables.properties.env.default is missing" in before.stdout
    assert "automation shopsync: dead runs: is not there" in before.stdout
    assert 3 == changed
    assert "" == check(applied, server)


def cron(text: str) -> Any:
    """A schedule."""
    from prefect.client.schemas.schedules import CronSchedule

    return CronSchedule(cron=text, timezone="UTC")


def test_operator_pauses_it(applied: Mapping[str, str], server: SyncPrefectClient):
    """What an operator switched off in the UI stays off when a release is applied."""
    daily = server.read_deployment_by_name(DAILY)
    server.update_deployment_schedule(daily.id, daily.schedules[0].id, active=False)
    server.update_deployment(daily.id, DeploymentUpdate(version="0.0.1", tags=["shopsync"]))

    changed = apply(applied, server)
    (schedule,) = server.read_deployment_by_name(DAILY).schedules
    server.update_deployment_schedule(daily.id, schedule.id, active=True)

    assert 1 == changed
    assert not schedule.active


def test_daily_runs_are_scheduled(applied: Mapping[str, str], server: SyncPrefectClient):
    """The server itself makes the runs of the next days, at six in the morning."""
    daily = server.read_deployment_by_name(DAILY)

    def scheduled() -> list[FlowRun]:
        runs = server.read_flow_runs(deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[daily.id])))
        return [run for run in runs if run.state_name == "Scheduled"]

    times = {
        run.expected_start_time.strftime("%H:%M") for run in until(scheduled, look_s=0.25) if run.expected_start_time
    }
    assert {"06:00"} == times


def started(server: SyncPrefectClient) -> FlowRun:
    """Ask for a daily run as anything does that speaks REST."""
    answer = server._client.post(f"/deployments/{server.read_deployment_by_name(DAILY).id}/create_flow_run", json={})
    return FlowRun.model_validate(answer.json())


def test_backfill_is_asked_for_by_form(applied: Mapping[str, str], server: SyncPrefectClient):
    """The run form of Prefect's UI refuses what is missing or out of bounds, and starts what it is given."""
    backfill = server.read_deployment_by_name("backfill/backfill")
    with browser_page() as page:
        page.goto(applied["PREFECT_API_URL"].replace("/api", f"/deployments/deployment/{backfill.id}/run"))
        page.locator("input[type=password]").fill(AUTH_STRING)
        page.keyboard.press("Enter")
        submit, at_once = page.get_by_role("button", name="Submit"), page.locator("input[type=number]")
        page.locator("textarea").first.fill("from the form")
        submit.click()
        page.get_by_text("'start' is a required property").wait_for()
        pick(page, "1")
        pick(page, "2")
        at_once.fill("9")
        submit.click()
        page.get_by_text("9 is greater than the maximum of 5").first.wait_for()
        at_once.fill("3")
        submit.click()
        (run,) = until(lambda: asked_for("from the form", server), look_s=0.25)

    server.delete_flow_run(run.id)  # the other tests know nothing of it
    given = run.parameters
    assert (backfill.id, "created", 3) == (run.deployment_id, given["by"], given["max_parallel"])
    assert timedelta(days=1) == datetime.fromisoformat(given["end"]) - datetime.fromisoformat(given["start"])


def asked_for(reason: str, server: SyncPrefectClient) -> list[FlowRun]:
    """The runs that were asked for with this reason."""
    return [run for run in server.read_flow_runs() if run.parameters.get("reason") == reason]


def pick(page: Page, day: str) -> None:
    """Choose a day of this month in the first field that has none."""
    page.get_by_text("Select date and time").first.click()
    page.get_by_role("button", name=day, exact=True).first.click()
    page.get_by_role("button", name="Apply").click()


@contextmanager
def listening() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An operator's channel: its URL, and what was posted to it."""
    posted: list[dict[str, str]] = []

    class Channel(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Channel) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/alerts", posted
        finally:
            http.shutdown()


def test_alerts(applied: Mapping[str, str], server: SyncPrefectClient):
    """A failed run, a run that no worker takes, and a day without a completed run are told."""
    with listening() as (url, posted):
        environ = dict(applied) | {"SHOPSYNC_ALERT_WEBHOOK_URL": url}
        apply(environ, server, Timing(late_s=10, stale_s=10))
        failed = started(server)
        server.set_flow_run_state(failed.id, Failed(message="Shopify said no"), force=True)
        late = started(server)

        until(lambda: len({each["subject"] for each in posted}) >= 3, look_s=0.25)
        apply(applied, server)
        server.delete_flow_run(late.id)

    assert {
        "shopsync: daily-sync failed",
        "shopsync: daily-sync did not start",
        "shopsync: the figures are stale",
    } == {each["subject"] for each in posted}
    assert any("Shopify said no" in each["text"] for each in posted)


def test_ecs(applied: Mapping[str, str], server: SyncPrefectClient, world: World, tmp_path: Path):
    """The worker registers our task definition and starts it; its command and environment complete the run."""
    aws = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    aws.start()
    host, port = aws.get_host_and_port()
    environ = dict(applied) | {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "moto",
        "AWS_SECRET_ACCESS_KEY": "moto",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "SHOPSYNC_WORK_POOL": "shopsync-ecs",
        "SHOPSYNC_WORK_POOL_TYPE": "ecs",
        "SHOPSYNC_IMAGE": "registry/shopsync:1",
        "SHOPSYNC_LAKE_URL": "s3://lake",
        "SHOPSYNC_ECS_EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/run",
        "SHOPSYNC_ECS_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shopsync",
    }
    try:
        ecs = boto3.client(
            "ecs",
            endpoint_url=environ["AWS_ENDPOINT_URL"],
            region_name="eu-central-1",
            aws_access_key_id="moto",
            aws_secret_access_key="moto",
        )
        ecs.create_cluster(clusterName="default")
        apply(environ, server)
        run = started(server)
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "shopsync-ecs", "--type", "ecs"]
        with (tmp_path / "worker.log").open("w") as log:
            worker = subprocess.Popen(command, env=environ, stdout=log, stderr=subprocess.STDOUT)
        try:
            tasks = until(lambda: ecs.list_tasks()["taskArns"], look_s=0.25)
            (task,) = ecs.describe_tasks(tasks=tasks)["tasks"]
        finally:
            worker.kill()
            worker.wait()
        definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    finally:
        aws.stop()
        apply(applied, server)
    (container,) = definition["containerDefinitions"]
    (overrides,) = task["overrides"]["containerOverrides"]

    assert ("512", "2048", 120) == (definition["cpu"], definition["memory"], container["stopTimeout"])
    assert "registry/shopsync:1" == container["image"]
    assert "/shopsync/runs" == container["logConfiguration"]["options"]["awslogs-group"]
    names = {each["name"]: each["valueFrom"] for each in container["secrets"]}
    assert environ["SHOPSYNC_ECS_SECRET_ARN"] + ":SHOPSYNC_SHOPIFY_TOKEN::" == names["SHOPSYNC_SHOPIFY_TOKEN"]
    given = {each["name"]: each["value"] for each in overrides["environment"]}
    assert world.shop.token not in json.dumps(given)

    # What ECS would fill in from the secret, and this machine in the place of R2.
    here = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SHOPSYNC_SHOPIFY_TOKEN": world.shop.token,
        "SHOPSYNC_DATA_DIR": str(world.folder),
        "SHOPSYNC_LAKE_URL": (world.folder / "lake").as_uri(),
        "PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK": "local-file-system/shopsync-results",
        "PREFECT_API_AUTH_STRING": AUTH_STRING,
    }
    ran = subprocess.run(
        overrides["command"], env=given | here, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )

    assert 0 == ran.returncode, ran.stderr
    assert "Completed" == server.read_flow_run(run.id).state_name
