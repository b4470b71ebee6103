"""What an operator does every day: organisations, keys, people, books, jobs, deliveries."""

from __future__ import annotations

import re

import pytest

from core import clock
from tests.integration.cli.conftest import Answer, Hub, succeed, table

UUID = r"[0-9a-f]{32}"


# organisations, keys


def test_an_organisation_with_its_key(hub: Hub) -> None:
    identity, secret = succeed(hub("organisations", "create", "acme"))
    assert re.fullmatch(f"org_{UUID}", identity)
    assert re.fullmatch(r"webhook secret: whsec_\S{20,}", secret)
    heading, row = table(succeed(hub("organisations", "list")))
    assert heading == ["name", "id", "plan", "live sats", "test sats"]
    assert row[:4] == ["acme", identity, "pay_as_you_go", "0"]
    assert int(row[4]) > 0  # the grant of test money
    [test_key] = succeed(hub("keys", "mint", "acme"))
    [live_key] = succeed(hub("keys", "mint", "acme", "--environment", "live", "--name", "agent"))
    assert re.fullmatch(r"ek_test_\S{20,}", test_key)
    assert re.fullmatch(r"ek_live_\S{20,}", live_key)


def test_keys_are_listed_without_themselves_and_revoked(hub: Hub) -> None:
    succeed(hub("organisations", "create", "acme"))
    [key] = succeed(hub("keys", "mint", "acme", "--name", "agent"))
    heading, row = table(succeed(hub("keys", "list", "acme")))
    assert heading[:4] == ["id", "key", "environment", "name"]
    assert row[2:4] == ["test", "agent"]
    assert key not in " ".join(row)
    assert succeed(hub("keys", "revoke", row[0])) == [f"revoked {row[0]}"]
    assert table(succeed(hub("keys", "list", "acme")))[1][-1] == "revoked"


def test_a_credit_is_booked_once_for_one_reference(hub: Hub) -> None:
    succeed(hub("organisations", "create", "acme"))
    for _ in range(2):
        lines = succeed(hub("organisations", "credit", "acme", "5000", "--reference", "invoice 1"))
        assert lines == ["credited 5000 sats to acme (live)"]
    assert table(succeed(hub("organisations", "list")))[1][3] == "5000"
    assert succeed(hub("ledger", "check")) == ["the books balance"]


@pytest.mark.parametrize("sats", ["0", "1.5", "NaN", "many", "1e-3"])
def test_a_credit_is_a_whole_number_of_satoshis(hub: Hub, sats: str) -> None:
    succeed(hub("organisations", "create", "acme"))
    answer = hub("organisations", "credit", "acme", sats, "--reference", "1")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("bad_amount: ")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["keys", "mint", "nobody"],
            "organisation_not_found: There is no organisation 'nobody'; see `hub organisations list`",
        ),
        (
            ["keys", "list", "nobody"],
            "organisation_not_found: There is no organisation 'nobody'; see `hub organisations list`",
        ),
        (
            ["people", "link", "nobody@example.org"],
            "person_not_found: Nobody has the address nobody@example.org",
        ),
        (["jobs", "redrive", "job_1"], "job_not_dead: No dead job job_1"),
        (["inbound", "replay", "inb_1"], "inbound_event_not_found: No inbound delivery inb_1"),
        (["task", "cancel", "tsk_1"], "task_not_found: There is no task tsk_1"),
        (["task", "why", "tsk_1"], "task_not_found: There is no task tsk_1"),
    ],
)
def test_what_is_not_there_is_one_line(hub: Hub, words: list[str], error: str) -> None:
    assert hub(*words) == Answer(1, "", f"{error}\n")


def test_the_trail_of_a_task_that_is_not_there(hub: Hub) -> None:
    answer = hub("task", "show", "tsk_1")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count("\n") == 1


def test_an_organisation_exists_once(hub: Hub) -> None:
    succeed(hub("organisations", "create", "acme"))
    answer = hub("organisations", "create", "acme")
    assert answer == Answer(1, "", "organisation_exists: An organisation of this name exists\n")
    assert len(succeed(hub("organisations", "list"))) == 2


def test_an_organisation_is_put_on_another_plan(hub: Hub) -> None:
    succeed(hub("organisations", "create", "acme"))
    assert succeed(hub("organisations", "plan", "acme", "enterprise")) == ["acme is on enterprise"]
    assert table(succeed(hub("organisations", "list")))[1][2] == "enterprise"
    answer = hub("organisations", "plan", "acme", "gold")
    assert answer == Answer(2, "", "configuration: config/plans.yaml has no plan 'gold'\n")


def test_whom_an_organisation_allows_and_blocks(hub: Hub) -> None:
    succeed(hub("organisations", "create", "acme"))
    for name in ("ana", "ben"):
        words = ["--name", name.title(), "--skill", "general", "--environment", "test"]
        succeed(hub("people", "add-worker", f"{name}@example.org", *words))
    people = ("organisations", "people")
    assert succeed(hub(*people, "allow", "acme", "ana@example.org")) == ["acme: ana@example.org allowed"]
    said = succeed(hub(*people, "block", "acme", "ben@example.org", "--reason", "rude"))
    assert said == ["acme: ben@example.org blocked"]
    heading, *rows = table(succeed(hub(*people, "list", "acme")))
    assert heading == ["word", "name", "email", "worker", "since", "reason"]
    assert [row[:3] for row in rows] == [
        ["allow", "Ana", "ana@example.org"],
        ["block", "Ben", "ben@example.org"],
    ]
    assert rows[1][-1] == "rude"
    assert succeed(hub(*people, "forget", "acme", "ana@example.org")) == [
        "acme: ana@example.org is on no list"
    ]
    again = hub(*people, "forget", "acme", "ana@example.org")
    assert again == Answer(1, "", "not_listed: This worker is on no list of the organisation\n")
    stranger = hub(*people, "block", "acme", "eve@example.org")
    assert stranger.err == "person_not_found: There is no person with the address 'eve@example.org'\n"
    assert len(succeed(hub(*people, "list", "acme"))) == 2
    for words, told in (
        (("expert", "ana@example.org", "yes"), "ana@example.org is an expert"),
        (("expert", "ana@example.org", "no"), "ana@example.org is not an expert"),
        (("cluster", "ana@example.org", "same-phone"), "ana@example.org is in same-phone"),
        (("cluster", "ana@example.org"), "ana@example.org is in no cluster"),
    ):
        assert succeed(hub("people", *words)) == [told]
    assert hub("people", "cluster", "ana@example.org", "A B").err.startswith("bad_cluster: ")


def test_a_plan_that_is_not_there_makes_no_organisation(hub: Hub) -> None:
    answer = hub("organisations", "create", "acme", "--plan", "gold")
    assert answer == Answer(2, "", "configuration: config/plans.yaml has no plan 'gold'\n")
    assert len(succeed(hub("organisations", "list"))) == 1


# people


def test_a_worker_with_a_sign_in_link(hub: Hub) -> None:
    words = ["--name", "Ana", "--skill", "general", "--skill", "incident_triage", "--environment", "test"]
    [link] = succeed(hub("people", "add-worker", "ana@example.org", *words, "--address", "ana@sandbox.test"))
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/sign-in/\S{20,}", link)
    [second] = succeed(hub("people", "link", "ANA@example.org"))
    assert second.startswith("http://127.0.0.1:8000/sign-in/")
    assert second != link


def test_an_operator_with_a_sign_in_link(hub: Hub) -> None:
    [link] = succeed(hub("people", "add-operator", "op@example.org", "--name", "Op"))
    assert link.startswith("http://127.0.0.1:8000/sign-in/")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["add-operator", "not an address", "--name", "Op"], "email"),
        (["add-worker", "ana@example.org", "--name", "Ana", "--skill", "no spaces"], "bad_skills"),
        (["add-worker", "ana@example.org", "--name", "Ana", "--tier", "99"], "bad_worker"),
        (["add-worker", "ana@example.org", "--name", "Ana", "--address", "no address"], "bad_payout_address"),
    ],
)
def test_a_wrong_value_is_named_with_its_field(hub: Hub, words: list[str], code: str) -> None:
    answer = hub("people", *words)
    assert (answer.code, answer.out) == (1, "")
    first, *fields = answer.err.splitlines()
    assert first.startswith(f"{code}: ")
    assert fields
    assert all(re.match(r"  \w+: ", line) for line in fields)


def test_a_refused_worker_leaves_no_person(hub: Hub) -> None:
    hub("people", "add-worker", "ana@example.org", "--name", "Ana", "--tier", "99")
    assert hub("people", "link", "ana@example.org").code == 1


# ledger, jobs, inbound


def test_the_books_of_a_new_organisation(hub: Hub) -> None:
    [identity, _] = succeed(hub("organisations", "create", "acme"))
    assert succeed(hub("ledger", "check")) == ["the books balance"]
    rows = table(succeed(hub("ledger", "balances")))
    assert rows[0] == ["account", "debits", "credits", "credits - debits"]
    balances = {row[0]: int(row[3]) for row in rows[1:]}
    assert sum(balances.values()) == 0
    assert balances[f"{identity}:test:prefund"] > 0


def test_lists_of_a_new_hub_are_empty_with_headings(hub: Hub) -> None:
    assert succeed(hub("jobs", "dead")) == ["id  topic  subject  attempts  last error"]
    assert succeed(hub("inbound", "list")) == ["id  connector  event  received  reason"]


def test_an_organisation_pays_in_over_lightning(hub: Hub) -> None:
    succeed(hub("organisations", "create", "acme", "--plan", "enterprise"))
    made, invoice = succeed(hub("organisations", "top-up", "acme", "5000"))
    top_up_id = made.split()[0]
    assert table(succeed(hub("organisations", "top-ups", "acme")))[1][:5] == [
        top_up_id,
        "open",
        "sandbox",
        "5000",
        "0",
    ]
    assert succeed(hub("organisations", "look", top_up_id)) == [f"{top_up_id} is open; 0 sats arrived"]
    assert succeed(hub("sandbox", "pay", invoice)) == ["paid: 5000 sats of TEST MONEY"]
    assert succeed(hub("organisations", "look", top_up_id)) == [f"{top_up_id} is credited; 5000 sats arrived"]
    assert succeed(hub("ledger", "check")) == ["the books balance"]
    month = clock.now().strftime("%Y-%m")
    told = succeed(hub("organisations", "statement", "acme", month))
    assert told[0] == f"acme, live, {month}, plan enterprise, not closed"
    assert ["top_up", "1", "5000000"] in table(told)
    for words, said in (
        (("organisations", "top-up", "acme", "0.5"), "whole number"),
        (("organisations", "top-up", "acme", "5"), "A top-up is 1000 to 10000000 sat"),
        (("organisations", "look", "top_none"), "Top-up not found"),
        (("organisations", "statement", "acme", "2026-13"), "No such month"),
        (("sandbox", "pay", "lnbcrt1"), "did not make this invoice"),
    ):
        answer = hub(*words)
        assert answer.code == 1
        assert said in answer.err
    assert succeed(hub("organisations", "plan", "acme", "growth")) == ["acme is on growth"]
