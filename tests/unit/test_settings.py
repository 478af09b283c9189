"""Settings: each variable read, refused in one line, and never shown when it is secret."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopsync.errors import SettingsError
from shopsync.settings import Settings, variables

SHOP = {"SHOPSYNC_SHOPIFY_URL": "https://a.myshopify.com", "SHOPSYNC_SHOPIFY_TOKEN": "shpat_verysecret"}


def read(**changes: str) -> Settings:
    return Settings.from_environment(SHOP | {f"SHOPSYNC_{name.upper()}": value for name, value in changes.items()})


def test_defaults_are_embedded(tmp_path, monkeypatch):
    """Without any variable the database and the lake are in the local data folder."""
    monkeypatch.chdir(tmp_path)

    settings = Settings.from_environment({})

    assert tmp_path / ".shopsync" == settings.data_dir
    assert str(tmp_path / ".shopsync/shopsync.db") == settings.database.database
    assert (tmp_path / ".shopsync/lake").as_uri() == settings.lake_url


def test_numbers_of_the_product_document_are_defaults():
    """16 s, 128 looks, 12 h: nobody has to set them."""
    settings = Settings.from_environment({})

    assert (16, 128, 43_200) == (settings.poll_interval_s, settings.poll_attempts, settings.retry_budget_s)
    assert (300, 180) == (settings.overlap.total_seconds(), settings.lag.total_seconds())


def test_seconds_may_be_decimal():
    """Tests and demos poll faster than once a second."""
    assert 0.25 == read(poll_interval_s="0.25").poll_interval_s


def test_empty_variable_counts_as_unset():
    """`SHOPSYNC_LAG_S=` in an env file is no value."""
    assert 180 == read(lag_s="  ").lag_s


def test_prefect_api_defaults_to_prefects():
    """The API finds Prefect where Prefect's own variable says."""
    assert (
        "http://127.0.0.1:4200/api"
        == Settings.from_environment({"PREFECT_API_URL": "http://127.0.0.1:4200/api"}).prefect_api_url
    )


def test_prefects_credentials_come_with_its_url():
    """Prefect's own credentials are taken for its own URL, and never sent to another one."""
    prefects = {"PREFECT_API_URL": "http://127.0.0.1:4200/api", "PREFECT_API_AUTH_STRING": "user:secret"}

    own = Settings.from_environment(prefects)
    other = Settings.from_environment(prefects | {"SHOPSYNC_PREFECT_API_URL": "http://127.0.0.1:4201/api"})
    given = Settings.from_environment(prefects | {"SHOPSYNC_PREFECT_API_KEY": "pnu_given"})

    assert own.prefect_api_auth_string is not None
    assert "user:secret" == own.prefect_api_auth_string.get_secret_value()
    assert other.prefect_api_auth_string is None
    assert given.prefect_api_auth_string is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shopify_url", "http://a.myshopify.com"),
        ("shopify_url", "https://a.myshopify.com/admin"),
        ("shopify_url", "a.myshopify.com"),
        ("shopify_api_version", "latest"),
        ("access_team_url", "http://team.cloudflareaccess.com"),
        ("access_team_url", "https://team.cloudflareaccess.com/cdn-cgi/access/certs"),
        ("access_audience", "a, b c"),
        ("api_proxies", "10.0.0.0/8, proxy.example"),
        ("api_proxies", "*"),
        ("api_proxies", "10.0.0.1/8"),
        ("database_url", "postgresql://u:verysecret@h/d"),
        ("database_url", "mysql+pymysql://u:verysecret@h"),
        ("database_url", "not a url verysecret"),
        ("database_url", "mysql+pymysql://u:pa@s:verysecret@host/db"),
        ("database_url", "mysql+pymysql://u:pa@verysecret@host/db"),
        ("database_url", "mysql+pymysql://u:pa@s/verysecret@host/db"),
        ("database_url", "sqlite:///relative.db"),
        ("database_url", "sqlite:///:memory:"),
        ("database_url", "sqlite:////abs/path?mode=memory"),
        ("database_url", "sqlite://"),
        ("lake_url", "s3://AKIA:verysecret@bucket"),
        ("lake_url", "s3://AKIA:verysecret"),
        ("lake_url", "s3://bucket?secret=verysecret"),
        ("lake_endpoint_url", "https://AKIA:verysecret@host"),
        ("lake_endpoint_url", "https://:verysecret@host"),
        ("lake_endpoint_url", "host.example"),
        ("shopify_url", "https://:verysecret@a.myshopify.com"),
        ("prefect_api_url", "https://u:verysecret@host/api"),
        ("prefect_api_url", "ftp://host/api"),
        ("lake_url", "gs://bucket"),
        ("lake_url", "file://host/relative"),
        ("shop_timezone", "Mars/Olympus"),
        ("shop_timezone", "../../etc/passwd"),
        ("poll_attempts", "0"),
        ("poll_interval_s", "-1"),
        ("retry_budget_s", "inf"),
        ("lag_s", "soon"),
        ("watermark_block", "Orders_1"),
    ],
)
def test_malformed_setting_is_named(name, value):
    """One line names the variable and what it expects, without its value."""
    with pytest.raises(SettingsError) as refused:
        read(**{name: value})

    assert str(refused.value).startswith(f"SHOPSYNC_{name.upper()} is malformed: it expects ")
    assert "\n" not in str(refused.value)
    assert "verysecret" not in str(refused.value)


KEYS = [
    "shopify_token",
    "shopify_client_id",
    "shopify_client_secret",
    "lake_access_key_id",
    "lake_secret_access_key",
    "prefect_api_key",
]
FREE = {"lake_region", "data_dir", "api_tokens", "prefect_api_auth_string"}
"""Fields that take any text."""


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize(
    "key", ["\u201cverysecret\u201d", "verysecret verysecret", "verysecret\x7f", "verysecret\nverysecret"]
)
def test_pasted_key_is_refused(name, key):
    """A quotation mark or a blank that came along with a key is told before a client stumbles over it."""
    with pytest.raises(SettingsError, match=f"SHOPSYNC_{name.upper()} is malformed: .* not plain ASCII") as refused:
        read(**{name: key})

    assert "verysecret" not in str(refused.value)
    assert "\u201c" not in str(refused.value)


@pytest.mark.parametrize("name", KEYS)
def test_space_around_keys_is_dropped(name):
    """A line feed at the end of a key is none of it."""
    assert read(**{name: " verysecret\n"}) == read(**{name: "verysecret"})


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - FREE))
@pytest.mark.parametrize(
    "value",
    ["pa ss-zyx987", "https://u:zyx987\u2100@host", "https://[zyx987 x", "https://host:zyx987 x", "\u201czyx987"],
)
def test_no_refusal_repeats_its_value(name, value):
    """Whatever is pasted into whichever variable, one line tells what it expects, and nothing of what it got."""
    with pytest.raises(SettingsError) as refused:
        read(**{name: value})

    assert "zyx987" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("poll_interval_s", 3_600),
        ("poll_attempts", 100_000),
        ("retry_base_s", 3_600),
        ("busy_wait_s", 86_400),
        ("retry_budget_s", 604_800),
        ("overlap_s", 2_592_000),
        ("lag_s", 2_592_000),
        ("in_process_wait_s", 86_400),
    ],
)
def test_number_beyond_its_bound(name, bound):
    """A number is taken up to its bound; one that no clock could add is told with the bound."""
    assert bound == getattr(read(**{name: str(bound)}), name)

    with pytest.raises(SettingsError, match=f"SHOPSYNC_{name.upper()} is malformed: .* less than or equal to {bound}"):
        read(**{name: "1000000000000"})


def test_unknown_setting_is_named():
    """A misspelt variable is not silently ignored."""
    with pytest.raises(SettingsError, match="SHOPSYNC_POLL_INTERVALL_S is not a setting"):
        read(poll_intervall_s="1")


def test_loopback_may_be_plain_http():
    """The simulator speaks plain http, on this machine only."""
    assert "http://127.0.0.1:8000" == read(shopify_url="http://127.0.0.1:8000/").shopify_url


def test_complete_shop_is_accepted():
    """A URL with a token, or with client credentials, is enough."""
    read().require_shop()
    Settings.from_environment(
        {
            "SHOPSYNC_SHOPIFY_URL": "https://a.myshopify.com",
            "SHOPSYNC_SHOPIFY_CLIENT_ID": "id",
            "SHOPSYNC_SHOPIFY_CLIENT_SECRET": "secret",
        }
    ).require_shop()


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({}, "SHOPSYNC_SHOPIFY_URL"),
        ({"SHOPSYNC_SHOPIFY_URL": "https://a.myshopify.com"}, "SHOPSYNC_SHOPIFY_TOKEN"),
        (SHOP | {"SHOPSYNC_SHOPIFY_CLIENT_ID": "id"}, "SHOPSYNC_SHOPIFY_TOKEN"),
        (
            {"SHOPSYNC_SHOPIFY_URL": "https://a.myshopify.com", "SHOPSYNC_SHOPIFY_CLIENT_ID": "id"},
            "SHOPSYNC_SHOPIFY_CLIENT_SECRET",
        ),
    ],
)
def test_incomplete_shop_is_named(environ, variable):
    """What is missing to reach the shop is named by its variable."""
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment(environ).require_shop()

    assert variable == refused.value.variable


def test_secrets_are_not_in_the_repr():
    """Settings can be logged."""
    settings = read(
        database_url="mysql+pymysql://u:verysecret@h/d", lake_secret_access_key="verysecret", api_tokens="verysecret"
    )

    assert "verysecret" not in repr(settings)
    assert "verysecret" not in repr(settings.database)


def test_sample_lists_every_variable():
    """`.env.sample` and the settings name the same variables."""
    sample = Path(".env.sample").read_text()
    named = [line.lstrip("# ").split("=")[0] for line in sample.splitlines() if "=" in line]

    assert sorted(variables()) == sorted(named)


@settings(max_examples=400, deadline=None)
@given(
    environ=st.dictionaries(
        st.sampled_from(sorted(variables())),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
        | st.sampled_from(
            ["0", "-1", "1e999", "nan", "https://[", "mysql+pymysql://u:p@h:x/d", "s3://", "file://x", "~"]
        ),
        max_size=4,
    )
)
def test_any_environment_reads_or_names_a_variable(environ: dict[str, str]) -> None:
    """Whatever the variables hold, the settings are read, or one line names one of them; nothing else comes out."""
    try:
        assert str(Settings.from_environment(environ))
    except SettingsError as error:
        assert "\n" not in str(error)
        assert any(name in str(error) for name in variables())
