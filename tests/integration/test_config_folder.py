"""The files beside hub.yaml in `config/`: plans, the verification policy, task types, connectors; which folder is read, and
what only the wiring can tell."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.rails import RAILS
from core.errors import Misconfigured
from core.tasks.model import RiskTier
from core.tasks.types import TaskType
from hub import config_files, settings_file
from hub.wiring import own_key, wire
from tests.config_copy import SHIPPED, copied, read, spoil


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied(tmp_path)


def test_the_plans_that_we_ship() -> None:
    plan = config_files.plans(SHIPPED).get("pay_as_you_go")
    assert (plan.fee_percent, plan.fee_minimum_usd, plan.free_tasks) == (Decimal(20), Decimal("0.10"), 1000)


def test_a_plan_that_is_not_there() -> None:
    with pytest.raises(Misconfigured, match="has no plan 'gold'"):
        config_files.plans(SHIPPED).get("gold")


def test_without_plans_there_is_no_hub(folder: Path) -> None:
    (folder / "plans.yaml").unlink()
    with pytest.raises(Misconfigured) as caught:
        config_files.plans(folder)
    assert caught.value.message == f"{folder}/plans.yaml: No such file or directory"


def test_the_policy_that_we_ship_is_the_default(tmp_path: Path) -> None:
    assert config_files.policy(SHIPPED) == config_files.policy(tmp_path)


def test_a_risk_that_the_policy_leaves_out_asks_for_the_highest_trust(folder: Path) -> None:
    spoil(
        folder / "routing.yaml",
        "minimum_tier: {low: 0, medium: 0, high: 2, critical: 3}",
        "minimum_tier: {low: 0, high: 2}",
    )
    policy = config_files.policy(folder)
    assert [policy.tier_for(risk) for risk in RiskTier] == [0, 2, 2, 2]


def test_every_task_type_that_we_ship_is_read() -> None:
    names = sorted(kind.name for kind in config_files.task_types(SHIPPED))
    assert names == sorted(path.stem for path in (SHIPPED / "task_types").glob("*.yaml"))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("name: question", "name: query", "question.yaml: name is 'query'; call the file query.yaml"),
        (
            "skills: [general]",
            "skills: [general]\nstages: [schema, oracle]",
            "question.yaml: There is no verification stage 'oracle'; use: schema, rules, anomaly",
        ),
        (
            "skills: [general]",
            "skils: [general]",
            "question.yaml: skils: unknown key (did you mean `skills`?); known here: "
            + ", ".join(TaskType.__struct_fields__),
        ),
        (
            "currency: USD",
            "currency: EUR",
            "question.yaml: Invalid enum value 'EUR' - at `$.payout.currency`",
        ),
    ],
)
def test_a_mistake_in_a_task_type(folder: Path, before: str, after: str, message: str) -> None:
    spoil(folder / "task_types" / "question.yaml", before, after)
    with pytest.raises(Misconfigured) as caught:
        config_files.task_types(folder)
    assert caught.value.message == message


def test_without_task_types_there_is_no_hub(folder: Path) -> None:
    shutil.rmtree(folder / "task_types")
    with pytest.raises(Misconfigured, match="has no file; the hub takes no task without"):
        config_files.task_types(folder)


def test_the_connectors_that_we_ship() -> None:
    configs = config_files.connectors(SHIPPED, {"PAGERDUTY_API_TOKEN": "t", "PAGERDUTY_WEBHOOK_SECRET": "s"})
    assert sorted(configs) == ["demo-intercom", "demo-oncall", "demo-salesforce", "demo-servicenow"]
    assert configs["demo-oncall"].warnings == ()


def test_a_missing_secret_is_a_warning() -> None:
    configs = config_files.connectors(SHIPPED, {})
    assert configs["demo-oncall"].warnings == (
        "pagerduty.yaml: env:PAGERDUTY_API_TOKEN is not set: this secret is disabled",
        "pagerduty.yaml: env:PAGERDUTY_WEBHOOK_SECRET is not set: this secret is disabled",
    )


def test_two_connectors_of_one_id_are_an_error(folder: Path) -> None:
    shutil.copy(folder / "connectors" / "pagerduty.yaml", folder / "connectors" / "second.yaml")
    with pytest.raises(Misconfigured) as caught:
        config_files.connectors(folder, {})
    assert caught.value.message == "second.yaml: id 'demo-oncall' is used by another file too"


# Where the files are


def test_the_folder_is_the_one_that_is_named(tmp_path: Path) -> None:
    assert settings_file.folder({"HUB_CONFIG_DIR": str(tmp_path)}) == tmp_path


def test_else_it_is_the_one_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert settings_file.folder({}).resolve() == folder


def test_else_it_is_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (settings_file.folder({}) / "hub.yaml").read_text() == (SHIPPED / "hub.yaml").read_text()


# What only the wiring can tell


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"HUB__RAILS__USE": "sandbox,cowrie"},
            f"hub.yaml: rails.use: no rail ['cowrie']; there are {', '.join(RAILS)}",
        ),
        (
            {"HUB__RATES__SET_ON": "23 November"},
            "hub.yaml: rates.set_on: Invalid isoformat string: '23 November'; write 2026-11-23",
        ),
        ({"HUB_SECRET_KEYS": "too-short"}, "A sealing key must be 32 random bytes in URL-safe base64"),
    ],
)
async def test_nothing_is_opened_with_a_wrong_setting(
    tmp_path: Path, environ: dict[str, str], message: str
) -> None:
    settings = read(SHIPPED, HUB_DATA_DIR=str(tmp_path), **environ)
    with pytest.raises(Misconfigured) as caught:
        async with wire(settings, SHIPPED, {}):
            raise AssertionError("it opened")
    assert caught.value.message == message
    assert not (tmp_path / "hub.db").exists()


@pytest.mark.parametrize(
    "url",
    [
        "https://api.pagerduty.example",
        "http://10.0.0.8:8790",
        "127.0.0.1:8790",
        "http://127.0.0.1@evil.example",
    ],
)
async def test_the_simulated_vendors_are_on_this_machine(tmp_path: Path, url: str) -> None:
    """They are sent the vendors' tokens."""
    with pytest.raises(Misconfigured) as caught:
        async with wire(read(SHIPPED, HUB_DATA_DIR=str(tmp_path)), SHIPPED, {"HUB_SIMULATOR_URL": url}):
            raise AssertionError("it opened")
    assert caught.value.message == (
        f"HUB_SIMULATOR_URL is {url!r}; it must be http://127.0.0.1:PORT (or another loopback address), for it takes the "
        "place of vendors and is sent their tokens. `hub demo` sets it itself: unset it"
    )


async def test_a_simulated_vendor_answers_under_its_own_path(tmp_path: Path) -> None:
    environ = {"HUB_SIMULATOR_URL": "http://127.0.0.1:8000/demo"}
    async with wire(read(SHIPPED, HUB_DATA_DIR=str(tmp_path)), SHIPPED, environ) as wiring:
        found = wiring.book["demo-oncall"].settings.test_base_url
    assert found == "http://127.0.0.1:8000/demo/pagerduty"


def test_the_sealing_key_is_made_once(tmp_path: Path) -> None:
    """Web and workers start at once on an empty folder."""
    with ThreadPoolExecutor(8) as several:
        keys = set(several.map(lambda _: own_key(tmp_path), range(32)))
    assert keys == {(tmp_path / "secret.key").read_text()}
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("value", ["0.5", "2"])
async def test_a_rail_takes_its_options_from_the_environment(tmp_path: Path, value: str) -> None:
    settings = read(SHIPPED, HUB_DATA_DIR=str(tmp_path), HUB__RAILS__OPTIONS__SANDBOX__ANSWER_TIMEOUT=value)
    async with wire(settings, SHIPPED, {}) as wiring:
        assert list(wiring.services.rails) == ["sandbox"]


async def test_a_rail_takes_a_fraction_from_the_file(folder: Path, tmp_path: Path) -> None:
    spoil(
        folder / "hub.yaml",
        "use: [sandbox]          # TEST MONEY",
        "use: [sandbox]\n  options: {sandbox: {answer_timeout: 0.5}}",
    )
    settings = read(folder, HUB_DATA_DIR=str(tmp_path))
    async with wire(settings, folder, {}) as wiring:
        assert list(wiring.services.rails) == ["sandbox"]
