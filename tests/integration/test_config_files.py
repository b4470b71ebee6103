"""Reading `config/` (`hub/config_files.py`): what wins over what, references, and that every mistake names its file, its
path and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import Misconfigured
from hub.settings import Settings
from tests.config_copy import SHIPPED, copied, read, spoil


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied(tmp_path)


# Defaults and what wins over them


def test_what_we_ship_are_the_defaults() -> None:
    """So that a key may be left out of the file, and the file shows what it would be."""
    assert read(SHIPPED) == Settings()


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert read(tmp_path) == Settings()


def test_the_file_wins_over_the_default(folder: Path) -> None:
    spoil(folder / "hub.yaml", "port: 8000", "port: 9000")
    assert read(folder).server.port == 9000


def test_the_environment_wins_over_the_file(folder: Path) -> None:
    spoil(folder / "hub.yaml", "port: 8000", "port: 9000")
    assert read(folder, HUB__SERVER__PORT="7000").server.port == 7000


@pytest.mark.parametrize(
    ("name", "value", "path", "wanted"),
    [
        ("HUB_DATA_DIR", "/var/lib/hub", "data_dir", "/var/lib/hub"),
        ("HUB_DATABASE_URL", "postgresql://u:p@db/hub", "database.url", "postgresql://u:p@db/hub"),
        ("HUB_REDIS_URL", "redis://cache:6379/0", "queue.url", "redis://cache:6379/0"),
        ("HUB_PUBLIC_URL", "https://hub.example.com/", "server.public_url", "https://hub.example.com/"),
        ("HUB_SECRET_KEYS", "new,old", "secret_keys", ["new", "old"]),
        ("HUB__DATABASE__POOL_SIZE", "20", "database.pool_size", 20),
        ("HUB__PAYOUTS__PAUSED", "true", "payouts.paused", True),
        ("HUB__PAYOUTS__PER_PAYOUT_SATS", "5", "payouts.per_payout_sats", 5),
        (
            "HUB__TARGETS__ALLOW",
            "10.0.0.0/8,127.0.0.1:9000",
            "targets.allow",
            ["10.0.0.0/8", "127.0.0.1:9000"],
        ),
        ("HUB__RAILS__USE", "sandbox", "rails.use", ["sandbox"]),
        ("HUB__RATES__USD_PER_BTC", "90000.50", "rates.usd_per_btc", "90000.50"),
        ("HUB__LOG", "json", "log", "json"),
    ],
)
def test_every_setting_can_come_from_the_environment(
    name: str, value: str, path: str, wanted: object
) -> None:
    found: object = read(SHIPPED, **{name: value})
    for step in path.split("."):
        found = getattr(found, step)
    assert found == wanted


def test_an_entry_of_a_mapping_can_come_from_the_environment() -> None:
    """As `hub demo` sets it; the dot is part of the domain."""
    settings = read(SHIPPED, **{"HUB__RAILS__ADDRESS_DOMAINS__SANDBOX.TEST": "http://127.0.0.1:8000"})
    assert settings.rails.address_domains == {"sandbox.test": "http://127.0.0.1:8000"}


def test_an_option_of_a_rail_can_come_from_the_environment() -> None:
    settings = read(SHIPPED, HUB__RAILS__OPTIONS__SANDBOX__FEE_PPM="100")
    assert settings.rails.options == {"sandbox": {"fee_ppm": "100"}}


def test_other_variables_are_nobody_s_business() -> None:
    assert read(SHIPPED, PATH="/bin", HUBCAP="1", HUB_LOG="json", HUB_CONFIG_DIR="x") == Settings()


def test_the_urls_that_follow_from_the_settings(tmp_path: Path) -> None:
    assert read(SHIPPED, HUB_DATA_DIR=str(tmp_path)).database_url == f"sqlite:///{tmp_path}/hub.db"
    assert read(SHIPPED).public_url == "http://127.0.0.1:8000"
    assert read(SHIPPED, HUB__SERVER__HOST="::1").public_url == "http://[::1]:8000"
    assert read(SHIPPED, HUB_PUBLIC_URL="https://hub.example.com/").public_url == "https://hub.example.com"


# References


def test_a_reference_to_the_environment(folder: Path) -> None:
    spoil(folder / "hub.yaml", 'public_url: ""', "public_url: https://${env:HOST}/hub")
    assert read(folder, HOST="a.example").server.public_url == "https://a.example/hub"


def test_a_reference_to_a_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    spoil(
        folder / "hub.yaml",
        'url: ""                 # empty: SQLite',
        f'url: "postgresql://hub:${{file:{tmp_path}/password}}@db/hub" #',
    )
    assert read(folder).database.url == "postgresql://hub:s3cret@db/hub"


def test_a_reference_may_stand_for_a_number(folder: Path) -> None:
    spoil(folder / "hub.yaml", "port: 8000", "port: ${env:PORT}")
    assert read(folder, PORT="7001").server.port == 7001


def test_a_referred_value_is_no_yaml(folder: Path) -> None:
    spoil(folder / "hub.yaml", 'public_url: ""', "public_url: ${env:HOST}")
    value = 'x"\npayouts: {paused: true}'
    settings = read(folder, HOST=value)
    assert settings.server.public_url == value
    assert settings.payouts.paused is False


@pytest.mark.parametrize("reference", ["${env:MISSING}", "${file:/nowhere/at/all}"])
def test_a_reference_to_nothing_is_an_error(folder: Path, reference: str) -> None:
    spoil(folder / "hub.yaml", 'public_url: ""', f"public_url: {reference}")
    with pytest.raises(Misconfigured) as caught:
        read(folder)
    assert caught.value.message == f"hub.yaml: {reference} cannot be read"


# Mistakes


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "port: 8000",
            "prot: 8000",
            "hub.yaml: server.prot: unknown key (did you mean `port`?); known here: host, port, public_url, client_ip_header",
        ),
        ("port: 8000", "port: 70000", "hub.yaml: Expected `int` <= 65535 - at `$.server.port`"),
        ("port: 8000", "port: http", "hub.yaml: Expected `int`, got `str` - at `$.server.port`"),
        ("paused: false", "paused: perhaps", "hub.yaml: Expected `bool`, got `str` - at `$.payouts.paused`"),
        ("port: 8000", "port: 8000\n  port: 9000", "hub.yaml:8:3: the key `port` stands twice"),
        (
            "use: [sandbox]          # TEST MONEY",
            "use: sandbox",
            "hub.yaml: Expected `array`, got `str` - at `$.rails.use`",
        ),
    ],
)
def test_a_mistake_in_the_file(folder: Path, before: str, after: str, message: str) -> None:
    spoil(folder / "hub.yaml", before, after)
    with pytest.raises(Misconfigured) as caught:
        read(folder)
    assert caught.value.message == message


def test_all_unknown_keys_are_named_at_once(folder: Path) -> None:
    spoil(folder / "hub.yaml", "port: 8000", "prot: 8000")
    spoil(folder / "hub.yaml", "paused: false", "pause: false")
    with pytest.raises(Misconfigured) as caught:
        read(folder)
    assert "server.prot: unknown key (did you mean `port`?)" in caught.value.message
    assert "payouts.pause: unknown key (did you mean `paused`?)" in caught.value.message


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("HUB__SERVER__PROT", "server.prot: unknown key (did you mean `port`?)"),
        ("HUB__SEVER__PORT", "sever: unknown key (did you mean `server`?)"),
        ("HUB__DATA_DIR__X", "HUB__DATA_DIR__X: data_dir is not a group of settings"),
    ],
)
def test_a_mistake_in_the_environment(name: str, part: str) -> None:
    with pytest.raises(Misconfigured, match=r"did you mean|not a group") as caught:
        read(SHIPPED, **{name: "1"})
    assert part in caught.value.message


def test_an_empty_file_is_an_error(folder: Path) -> None:
    (folder / "hub.yaml").write_text("# nothing here\n")
    with pytest.raises(Misconfigured) as caught:
        read(folder)
    assert caught.value.message == "hub.yaml: not a mapping of settings"
