"""What the deployments' files must hold, whatever the server says."""

import json
import tomllib
from pathlib import Path

import msgspec
import pytest

from deployments.pools import SECRETS, TEMPLATES, require_ecs, run_environment, secret_references
from deployments.templates import PLACEHOLDER
from shopsync.errors import SettingsError
from shopsync.settings import Settings, variables
from tests.soak.image import instructions

PREFECT_YAML = msgspec.yaml.decode(Path("prefect.yaml").read_bytes())
DAILY = next(each for each in PREFECT_YAML["deployments"] if each["name"] == "daily")

ECS = {
    "SHOPSYNC_WORK_POOL_TYPE": "ecs",
    "SHOPSYNC_IMAGE": "registry/shopsync:1",
    "SHOPSYNC_ECS_EXECUTION_ROLE_ARN": "arn:aws:iam::1:role/run",
    "SHOPSYNC_LAKE_URL": "s3://lake",
    "SHOPSYNC_DATABASE_URL": "mysql+pymysql://u:verysecret@h/d",
}


def test_daily_at_six():
    """At 06:00 UTC, as README says."""
    (schedule,) = DAILY["schedules"]

    assert ("0 6 * * *", "UTC", "daily") == (schedule["cron"], schedule["timezone"], schedule["slug"])


def test_one_daily_run_at_a_time():
    """A second one waits."""
    limit = DAILY["concurrency_limit"]

    assert (1, "ENQUEUE") == (limit["limit"], limit["collision_strategy"])


def test_every_deployment_has_our_tag():
    """The automations watch runs with the tag shopsync."""
    assert all("shopsync" in each["tags"] for each in PREFECT_YAML["deployments"])


def test_placeholders_are_settings():
    """Every {{ $NAME }} of prefect.yaml is a variable of .env.sample."""
    named = set(PLACEHOLDER.findall(str(PREFECT_YAML)))

    assert named <= set(variables())


@pytest.mark.parametrize("kind", ["process", "ecs"])
def test_template_uses_its_variables(kind):
    """Each variable of a work pool reaches the job, and the job names no other."""
    template = json.loads(TEMPLATES[kind].read_text())
    job = json.dumps(template["job_configuration"])

    assert [] == [name for name in template["variables"]["properties"] if f"{{{{ {name} }}}}" not in job]
    assert job.count("{{") == sum(job.count(f"{{{{ {name} }}}}") for name in template["variables"]["properties"])


def test_no_secret_in_the_environment_of_runs():
    """Secrets reach a run by reference, never by value."""
    settings = Settings.from_environment(ECS)

    environment = run_environment(settings, ECS, "s3-bucket/results", {"shopsync-shopify-token"})

    assert "verysecret" not in str(environment)
    assert "{{ prefect.blocks.secret.shopsync-shopify-token }}" == environment["SHOPSYNC_SHOPIFY_TOKEN"]
    assert "s3://lake" == environment["SHOPSYNC_LAKE_URL"]
    assert "SHOPSYNC_IMAGE" not in environment


def test_runs_send_r2_what_it_takes():
    """boto3 leaves its own checksums out with an operator's block of keys too; a folder needs no such thing."""
    bucket = run_environment(Settings.from_environment(ECS), ECS, "s3-bucket/results", set())
    folder = run_environment(Settings.from_environment({}), {}, "local-file-system/results", set())

    assert "when_required" == bucket["AWS_REQUEST_CHECKSUM_CALCULATION"]
    assert "when_required" == bucket["AWS_RESPONSE_CHECKSUM_VALIDATION"]
    assert "AWS_REQUEST_CHECKSUM_CALCULATION" not in folder


def test_process_gets_the_data_folder():
    """A worker starts the flow in a folder of its own: the data folder is named whole."""
    settings = Settings.from_environment({"SHOPSYNC_DATA_DIR": "data"})

    environment = run_environment(settings, {"SHOPSYNC_DATA_DIR": "data"}, "local-file-system/results", set())

    assert str(Path("data").absolute()) == environment["SHOPSYNC_DATA_DIR"]


def test_ecs_reads_secrets_by_key():
    """Each secret that no block holds is a key of the one AWS secret."""
    references = secret_references("arn:secret", {"SHOPSYNC_SHOPIFY_TOKEN": "{{ prefect.blocks.secret.x }}"})

    assert len(SECRETS) - 1 == len(references)
    assert {"name": "SHOPSYNC_DATABASE_URL", "valueFrom": "arn:secret:SHOPSYNC_DATABASE_URL::"} in references


@pytest.mark.parametrize("missing", ["SHOPSYNC_IMAGE", "SHOPSYNC_ECS_EXECUTION_ROLE_ARN", "SHOPSYNC_LAKE_URL"])
def test_ecs_needs_everything_elsewhere(missing):
    """A container has no disk to keep: what an ECS pool lacks is named before anything is written."""
    settings = Settings.from_environment({name: value for name, value in ECS.items() if name != missing})

    with pytest.raises(SettingsError) as refused:
        require_ecs(settings)

    assert missing == refused.value.variable


def test_image_holds_every_package():
    """What is installed is copied into the image, from where it is; the tests stay outside."""
    packages = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    copies = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and "--from=" not in rest]
    copied = {source for sources in copies for source in sources}

    assert {name.partition(".")[0] for name in packages} <= copied
    assert [] == [source for source in copied if not Path(source).exists()]
    assert "tests" not in copied
