"""The options of the rails lnd, cln and electrum: every mistake names its key and the fix, and repeats no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.rails import RAILS, RailConfig
from core.errors import Misconfigured
from core.payouts.rail import Capabilities
from tests.fakes.tls_node import make_certificate

KEY = {"lnd": "macaroon", "cln": "rune", "electrum": "password"}
SECRET = "0201036c6e64"


@pytest.fixture(params=sorted(KEY))
def rail(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NODE_SECRET", SECRET)
    return request.param


def good(rail: str) -> dict[str, object]:
    return {"url": "https://10.0.0.5:8080", KEY[rail]: "env:NODE_SECRET"}


def build(rail: str, options: dict[str, object]) -> object:
    return RAILS[rail](RailConfig(name=rail, data_dir=Path(), options=options))


def refused(rail: str, changes: dict[str, object]) -> str:
    with pytest.raises(Misconfigured) as caught:
        build(rail, good(rail) | changes)
    assert SECRET not in caught.value.message
    return caught.value.message


def test_the_least_that_is_needed(rail: str) -> None:
    made = RAILS[rail](RailConfig(name=rail, data_dir=Path(), options=good(rail)))
    assert made.name == rail
    assert made.capabilities == Capabilities(real_money=True, proves_by_preimage=True, network="bc")
    assert SECRET not in repr(vars(made))


def test_a_test_network_is_no_real_money(rail: str) -> None:
    made = RAILS[rail](RailConfig(name=rail, data_dir=Path(), options=good(rail) | {"network": "tbs"}))
    assert made.capabilities == Capabilities(real_money=False, proves_by_preimage=True, network="tbs")


def test_numbers_from_the_environment_are_texts(rail: str) -> None:
    build(rail, good(rail) | {"answer_timeout": "7.5"})


@pytest.mark.parametrize("key", ["url", "credential"])
def test_a_missing_key_is_named(rail: str, key: str) -> None:
    key = KEY[rail] if key == "credential" else key
    options = good(rail)
    del options[key]
    with pytest.raises(Misconfigured) as caught:
        build(rail, options)
    assert caught.value.message == f"hub.yaml: rails.options.{rail}.{key}: this key is required"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://10.0.0.5:8080", "the credential must not travel unencrypted; write https://"),
        ("10.0.0.5:8080", "this is no address; write https://host:port"),
        ("ftp://node", "this is no address; write https://host:port"),
        ("https://user:password@node", "only https://host:port may stand here, no user, query or fragment"),
        ("https://node?x=1", "only https://host:port may stand here, no user, query or fragment"),
    ],
)
def test_an_address_that_cannot_be_used(rail: str, url: str, words: str) -> None:
    assert refused(rail, {"url": url}) == f"hub.yaml: rails.options.{rail}.url: {words}"


def test_a_port_that_is_none(rail: str) -> None:
    assert refused(rail, {"url": "https://node:99999"}).startswith(
        f"hub.yaml: rails.options.{rail}.url: this is no address ("
    )


def test_http_on_this_machine(rail: str) -> None:
    build(rail, good(rail) | {"url": "http://127.0.0.1:8080/"})


def test_a_secret_in_the_file_is_refused_and_not_repeated(rail: str) -> None:
    message = refused(rail, {KEY[rail]: SECRET})
    assert message.startswith(f"hub.yaml: rails.options.{rail}.{KEY[rail]}: a secret must not be written")


def test_a_secret_that_is_not_there(rail: str) -> None:
    assert "env:NOT_SET is not set" in refused(rail, {KEY[rail]: "env:NOT_SET"})


def test_a_secret_that_would_break_a_header(rail: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("ab\r\ncd")
    assert "is not one line of plain text" in refused(rail, {KEY[rail]: f"file:{tmp_path / 'secret'}"})


def test_a_macaroon_that_is_not_hex_gets_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_SECRET", "AgEDbG5k")
    message = refused("lnd", {})
    assert message.startswith("hub.yaml: rails.options.lnd.macaroon: env:NODE_SECRET is not in hex;")
    assert "AgEDbG5k" not in message


def test_a_certificate_is_read(rail: str, tmp_path: Path) -> None:
    build(rail, good(rail) | {"tls_cert": str(make_certificate(tmp_path))})


def test_a_certificate_that_cannot_be_used(rail: str, tmp_path: Path) -> None:
    path = tmp_path / "tls.cert"
    wanted = f"hub.yaml: rails.options.{rail}.tls_cert: {path} cannot be used: "
    assert refused(rail, {"tls_cert": str(path)}) == wanted + "No such file or directory"
    path.write_bytes(b"\x30\x82")
    assert refused(rail, {"tls_cert": str(path)}) == wanted + "it holds no certificate in PEM"


@pytest.mark.parametrize(
    ("key", "value"),
    [("network", "mainnet"), ("node_id", "abc"), ("answer_timeout", 0), ("answer_timeout", 61), ("url", 7)],
)
def test_a_value_out_of_range_names_its_key(rail: str, key: str, value: object) -> None:
    assert refused(rail, {key: value}).startswith(f"hub.yaml: rails.options.{rail}.{key}: ")


def test_an_unknown_key_is_named(rail: str) -> None:
    assert "`tls_certificate`" in refused(rail, {"tls_certificate": "x"})
