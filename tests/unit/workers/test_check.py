"""The shape of what a worker's profile may hold."""

from __future__ import annotations

import pytest

from core.errors import Invalid
from core.tasks.model import Environment
from core.workers import check
from core.workers.model import NewWorker, ProfileChange


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Ana@Wallet.Example ", "ana@wallet.example"),
        ("ana+tips@wallet.example", "ana+tips@wallet.example"),
        ("a_b-c.d@pay.wallet.example", "a_b-c.d@pay.wallet.example"),
        ("ana@localhost:8080", "ana@localhost:8080"),
        ("ana@abcdefghij234567.onion", "ana@abcdefghij234567.onion"),
    ],
)
def test_lightning_addresses(typed: str, kept: str) -> None:
    assert check.address(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ana",
        "@wallet.example",
        "ana@",
        "ana@@wallet.example",
        "ana@wallet..example",
        "ana@-wallet.example",
        "ana@wallet.example/path",
        "ana@wallet.example:port",
        "ana smith@wallet.example",
        "ana@wallet.example\nbob@wallet.example",
        "änä@wallet.example",
        "a" * 65 + "@wallet.example",
        "ana@" + "a" * 260,
        "https://wallet.example/ana",
        "strike:",
        "strike:a b",
        "strike:a@b",
    ],
)
def test_what_is_not_one(typed: str) -> None:
    with pytest.raises(Invalid) as caught:
        check.address(typed)
    assert caught.value.field_errors == {"payoutAddress": "Must look like name@example.com"}


@pytest.mark.parametrize("typed", ["lnbc1p0000", "LIGHTNING:lnbc1p0000", "lnurl1dp68gurn8ghj7"])
def test_an_invoice_is_sent_to_where_it_belongs(typed: str) -> None:
    with pytest.raises(Invalid) as caught:
        check.address(typed)
    assert caught.value.field_errors["payoutAddress"].endswith("pasted beside the payout that it is for")


@pytest.mark.parametrize(
    ("typed", "kept"), [("strike:ana", "ana@strike.me"), (" Strike: Ana_1 ", "ana_1@strike.me")]
)
def test_a_strike_handle_is_its_lightning_address(typed: str, kept: str) -> None:
    assert check.address(typed) == kept


@pytest.mark.parametrize("skill", ["", "Two Words", "UPPER", "-x", "a" * 65, "a\n"])
def test_skills_have_a_form(skill: str) -> None:
    with pytest.raises(Invalid):
        check.skills([skill])
    assert check.skills(["german", "lang:de", "sev1_triage"]) == {"german", "lang:de", "sev1_triage"}


def test_every_number_out_of_range_is_named() -> None:
    wrong = NewWorker(
        person_id="p", environment=Environment.TEST, tier=9, reliability=1.5, price_floor_msat=-1, capacity=-1
    )
    with pytest.raises(Invalid) as caught:
        check.new_worker(wrong)
    assert set(caught.value.field_errors) == {"tier", "reliability", "price_floor_msat", "capacity"}
    with pytest.raises(Invalid) as caught:
        check.change(ProfileChange(tier=-1))
    assert set(caught.value.field_errors) == {"tier"}
    check.change(ProfileChange())
