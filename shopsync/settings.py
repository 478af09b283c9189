"""
Every environment variable that shopsync reads: its type, unit, default, and what it expects.

Importing this module reads nothing; `Settings.from_environment` reads the environment that it is given, whenever a
process opens something. A missing or malformed variable ends in one line that names it. Secrets appear in no repr.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from shopsync.errors import SettingsError

PREFIX = "SHOPSYNC_"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

HOUR, DAY = 3_600, 86_400

_BUCKET = re.compile(r"[A-Za-z0-9._-]+")


def _visible(key: str) -> str:
    # An HTTP header carries nothing else, and the client's complaint about a pasted quotation mark repeats the key.
    if re.fullmatch(r"[!-~]+", key) is None:
        raise ValueError("it has a blank or a character that is not plain ASCII")
    return key


def _visible_secret(key: SecretStr) -> SecretStr:
    return SecretStr(_visible(key.get_secret_value().strip()))


def _listed(text: Any) -> Any:
    return [each.strip() for each in text.split(",") if each.strip()] if isinstance(text, str) else text


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:  # its text repeats the value
        raise ValueError("not an address or a network") from None


NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Key = Annotated[str, AfterValidator(_visible)]
Keys = Annotated[tuple[Key, ...], BeforeValidator(_listed)]
Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], BeforeValidator(_listed)]
SecretKey = Annotated[SecretStr, AfterValidator(_visible_secret)]


class Settings(BaseModel):
    """The configuration of one process; each field is the variable `SHOPSYNC_<FIELD>`."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    shopify_url: str | None = Field(None, description="base URL of the shop, https://<shop>.myshopify.com")
    shopify_token: SecretKey | None = Field(None, description="Admin API access token")
    shopify_client_id: Key | None = Field(None, description="client id of a Dev Dashboard app")
    shopify_client_secret: SecretKey | None = Field(None, description="client secret of that app")
    shopify_api_version: str = Field(
        "2026-10", pattern=r"^\d{4}-(01|04|07|10)$", description="an Admin API version such as 2026-10"
    )
    database_url: SecretStr = Field(SecretStr(""), description="mysql+pymysql://user:pw@host/db or sqlite:////abs/path")
    lake_url: str = Field("", description="s3://bucket[/prefix] or file:///abs/path")
    lake_endpoint_url: str | None = Field(None, description="http(s) URL of an S3 endpoint, such as R2's")
    lake_access_key_id: Key | None = Field(None, description="access key of the bucket")
    lake_secret_access_key: SecretKey | None = Field(None, description="secret key of the bucket")
    lake_credentials_block: str | None = Field(
        None, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", description="the name of an AwsCredentials block of Prefect"
    )
    lake_region: str = Field("auto", min_length=1, description="region of the bucket; R2's is auto")
    shop_timezone: ZoneInfo | None = Field(None, description="IANA zone, such as Europe/Berlin")
    poll_interval_s: Seconds = Field(16, le=HOUR, description="seconds between two looks at the bulk operation")
    poll_attempts: int = Field(128, ge=1, le=100_000, description="a number of looks, at least 1")
    retry_base_s: Seconds = Field(2, le=HOUR, description="seconds of the first back-off")
    busy_wait_s: Seconds = Field(60, le=DAY, description="seconds of the first wait for a bulk slot")
    retry_budget_s: Seconds = Field(43_200, le=7 * DAY, description="seconds after which a run stops trying")
    watermark_block: str = Field("orders", pattern=NAME, description="a block name: lower case, digits, dashes")
    overlap_s: Seconds = Field(300, le=30 * DAY, description="seconds that a daily window starts before the watermark")
    lag_s: Seconds = Field(180, le=30 * DAY, description="seconds that a window ends before the run's start")
    in_process_wait_s: Seconds = Field(300, le=DAY, description="seconds; a longer wait ends the container")
    backfill_lines: int = Field(
        5_000_000, ge=1, description="a number of lines; a backfill's window whose result has more is halved"
    )
    api_tokens: SecretStr = Field(SecretStr("[]"), description="JSON list of {name, role, sha256, expires_at?}")
    api_address_limit: int = Field(1_200, ge=0, le=10_000_000, description="requests a minute, or 0 for no limit")
    api_staff_limit: int = Field(600, ge=0, le=10_000_000, description="requests a minute, or 0 for no limit")
    api_proxies: Networks = Field(
        ("127.0.0.1/32", "::1/128"), description="addresses or networks of proxies, with commas between them"
    )
    access_team_url: str | None = Field(
        None, description="base URL of a Cloudflare Access team, https://<team>.cloudflareaccess.com"
    )
    access_audience: Keys = Field((), description="AUD tags of Access applications, with commas between them")
    access_operators: Keys = Field(
        (), description="e-mail addresses, or client ids of service tokens, with commas between them"
    )
    prefect_api_url: str | None = Field(
        None, description="http(s) URL of Prefect's REST API (default: PREFECT_API_URL)"
    )
    prefect_api_key: SecretKey | None = Field(None, description="Prefect Cloud API key")
    prefect_api_auth_string: SecretStr | None = Field(None, description="user:password of a Prefect server")
    data_dir: Path = Field(Path(".shopsync"), description="a local folder")
    work_pool: str = Field("shopsync", pattern=NAME, description="a work pool name: lower case, digits, dashes")
    work_pool_type: Literal["process", "ecs"] = Field("process", description="process or ecs")
    image: Key | None = Field(None, description="image of the runs, registry/name:tag")
    ecs_cluster: Key | None = Field(None, description="name or ARN of the ECS cluster")
    ecs_vpc_id: Key | None = Field(None, description="id of the VPC, vpc-...")
    ecs_subnets: Keys = Field((), description="ids of subnets, with commas between them")
    ecs_security_groups: Keys = Field((), description="ids of security groups, with commas between them")
    ecs_execution_role_arn: Key | None = Field(None, description="ARN of the role that starts the task")
    ecs_task_role_arn: Key | None = Field(None, description="ARN of the role that the task has")
    ecs_log_group: Key = Field("/shopsync/runs", description="name of the CloudWatch log group")
    ecs_secret_arn: Key | None = Field(None, description="ARN of the secret that holds the secret variables")
    alert_block: str | None = Field(
        None,
        pattern=r"^[a-z0-9-]+/[a-z0-9-]+$",
        description="a notification block, type/name, such as slack-webhook/ops",
    )
    alert_webhook_url: SecretStr | None = Field(None, description="http(s) URL that alerts are posted to")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """
        Read the settings; an empty variable counts as not set.

        Raises:
            SettingsError: A variable is unknown, malformed or contradicts another.
        """
        given = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environ.items()
            if name.startswith(PREFIX) and value.strip()
        }
        _add_prefect(given, environ)
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            # `from None`: pydantic's text repeats the input, which may be a secret.
            raise _in_one_line(error) from None

    @field_validator("shopify_url", "access_team_url")
    @classmethod
    def _site(cls, url: str) -> str:
        parts = _http_url(url)
        if (parts.scheme != "https" and parts.hostname not in LOOPBACK) or parts.path.strip("/") or parts.query:
            raise ValueError("plain http is allowed for a loopback host only")
        return url.rstrip("/")

    @field_validator("lake_endpoint_url", "prefect_api_url")
    @classmethod
    def _service(cls, url: str) -> str:
        _http_url(url)
        return url

    @field_validator("alert_webhook_url")
    @classmethod
    def _webhook(cls, url: SecretStr) -> SecretStr:
        _http_url(_visible(url.get_secret_value()))
        return url

    @field_validator("shop_timezone", mode="before")
    @classmethod
    def _zone(cls, name: str) -> ZoneInfo:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not an IANA zone") from None

    @field_validator("database_url")
    @classmethod
    def _database(cls, url: SecretStr) -> SecretStr:
        try:
            parsed = make_url(url.get_secret_value())
        except (ArgumentError, ValueError):
            raise ValueError("not a database URL") from None
        match parsed.drivername:
            case "mysql+pymysql":
                # An @ left bare in a password would end up in the host or the name, which messages show.
                known = bool(parsed.database) and "@" not in f"{parsed.host}{parsed.database}"
            case "sqlite":
                known = not parsed.host and not parsed.query and (parsed.database or "").startswith("/")
            case _:
                known = False
        if not known:
            raise ValueError("not a database URL; write @ in a password as %40")
        return url

    @field_validator("lake_url")
    @classmethod
    def _lake(cls, url: str) -> str:
        parts = _split(url)
        bucket = parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc)
        folder = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
        if not (bucket or folder) or parts.query or parts.fragment:
            raise ValueError("not a lake URL; keys have variables of their own")
        return url

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, given: Any) -> Any:
        given = dict(given)
        data_dir = Path(given.get("data_dir") or ".shopsync").absolute()
        given["data_dir"] = data_dir
        given.setdefault("database_url", f"sqlite:///{data_dir / 'shopsync.db'}")
        given.setdefault("lake_url", (data_dir / "lake").as_uri())
        return given

    @property
    def database(self) -> URL:
        """The database's URL; its repr hides the password."""
        return make_url(self.database_url.get_secret_value())

    @property
    def overlap(self) -> timedelta:
        """How far before the watermark a daily window starts."""
        return timedelta(seconds=self.overlap_s)

    @property
    def lag(self) -> timedelta:
        """How far before a run's start its window ends."""
        return timedelta(seconds=self.lag_s)

    def require_shop(self) -> None:
        """
        Check that the shop and one way to its tokens are given.

        Raises:
            SettingsError: The URL is missing, or there is no token, or both a token and client credentials.
        """
        if self.shopify_url is None:
            raise SettingsError(*_missing("shopify_url"))
        if self.shopify_token is not None and self.shopify_client_id is not None:
            raise SettingsError("SHOPSYNC_SHOPIFY_TOKEN", "is set beside SHOPSYNC_SHOPIFY_CLIENT_ID: give one of them")
        if self.shopify_token is None and self.shopify_client_id is None:
            variable, problem = _missing("shopify_token")
            raise SettingsError(variable, f"{problem} (or SHOPSYNC_SHOPIFY_CLIENT_ID and its secret)")
        if self.shopify_client_id is not None and self.shopify_client_secret is None:
            raise SettingsError(*_missing("shopify_client_secret"))

    def require_access(self) -> None:
        """
        Check that what Cloudflare Access needs is given together, or nothing of it.

        Raises:
            SettingsError: One of the variables needs another one.
        """
        if self.access_team_url is None and (self.access_audience or self.access_operators):
            raise SettingsError(*_missing("access_team_url"))
        if self.access_team_url is not None and not self.access_audience:
            raise SettingsError(*_missing("access_audience"))


def variables() -> dict[str, str]:
    """Return every variable with what it expects, in the order of the fields."""
    return {_variable(name): field.description or "" for name, field in Settings.model_fields.items()}


def _add_prefect(given: dict[str, str], environ: Mapping[str, str]) -> None:
    """Take Prefect's own variables for its API; its credentials are for its own URL alone."""
    if "prefect_api_url" in given or not environ.get("PREFECT_API_URL", "").strip():
        return
    secrets = {"prefect_api_key", "prefect_api_auth_string"}
    wanted = {"prefect_api_url"} | (set[str]() if secrets & given.keys() else secrets)
    given.update({name: environ[name.upper()] for name in wanted if environ.get(name.upper(), "").strip()})


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number
    except ValueError:  # its text may repeat the URL
        raise ValueError("not a URL") from None
    return parts


def _http_url(url: str) -> SplitResult:
    parts = _split(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an http(s) URL")
    if "@" in parts.netloc:
        raise ValueError("credentials do not belong into a URL")
    return parts


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def _missing(field: str) -> tuple[str, str]:
    return _variable(field), f"is not set: it expects {Settings.model_fields[field].description}"


def _in_one_line(error: ValidationError) -> SettingsError:
    first = error.errors(include_input=False, include_url=False)[0]
    field = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return SettingsError(_variable(field), "is not a setting of shopsync: see .env.sample for all of them")
    expects, problem = Settings.model_fields[field].description, first["msg"].removeprefix("Value error, ")
    return SettingsError(_variable(field), f"is malformed: it expects {expects} ({problem})")
