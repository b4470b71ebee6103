"""The export on both databases: a stranger's script finds it right, and finds every change in it; the CSV says the same as the
JSON lines and runs nothing in a spreadsheet."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.db.unit_of_work import UnitOfWork
from core.ledger import accounts, chain, export
from core.ledger.check import snapshot
from core.ledger.export import Format
from core.ledger.post import Phase, Transfer, post, posted, voided
from core.ledger.seal import seal_all
from core.ledger.statements import Period, moment
from core.ledger.tables import LedgerTransfer

SCRIPT = Path(__file__).parents[1] / "verify_ledger.py"
CAPITAL, ORG = accounts.capital("live"), accounts.prefund("org_1", "live")
ANA, CLEARING = accounts.payable("per_1"), accounts.clearing("live")
FORMULA = '=HYPERLINK("http://evil.example")'

Row = dict[str, Any]


def transfer(name: str, debit: Any, credit: Any, amount: int, **more: Any) -> Transfer:
    content: dict[str, Any] = {"kind": "test", "subject": "s", **more}
    return Transfer(id=name, debit=debit, credit=credit, amount_msat=amount, **content)


async def fill(work: UnitOfWork) -> None:
    """Singles, a pend posted in part, one voided, one open; and one transfer that is not sealed."""
    pends = [transfer(f"p{n}", ANA, CLEARING, 100, phase=Phase.PEND) for n in range(3)]
    async with work.begin("test.post") as tx:
        await post(tx, [transfer("t1", CAPITAL, ORG, 10_000), transfer("t2", ORG, ANA, 700, kind=FORMULA)])
        await post(tx, pends)
        await post(
            tx, [transfer("t3", ORG, ANA, 5, subject="-2+3;\r\n'"), transfer("t4", ORG, ANA, 5, subject="'é")]
        )
    async with work.begin("test.post") as tx:
        await post(tx, [posted(pends[0], 60, "p0:post", "clear"), voided(pends[1], "p1:void", "return")])
    assert await seal_all(work) == 9
    async with work.begin("test.post") as tx:
        await post(tx, [posted(pends[2], 1, "p2:post", "clear"), transfer("t5", ORG, ANA, 9)])


async def written(work: UnitOfWork, form: Format, folder: Path) -> tuple[Path, Path]:
    transfers, accounts_ = folder / f"transfers.{form}", folder / f"accounts.{form}"
    async with work.read() as session:
        await snapshot(session)
        for path, parts in (
            (transfers, export.transfers(session, form)),
            (accounts_, export.accounts(session, form)),
        ):
            path.write_text("".join([part async for part in parts]), encoding="utf-8", newline="")
    return transfers, accounts_


def verify(transfers: Path, accounts_: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", SCRIPT, transfers, accounts_], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def read_json(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def chained(rows: list[Row]) -> list[Row]:
    """What a forger does who knows the algorithm: every hash anew."""
    link = "0" * 64
    for n, row in enumerate(rows, 1):
        values = [link, n, *(row[name] for name in chain.COLUMNS)]
        text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
        link = hashlib.sha256(text.encode()).hexdigest()
        row |= {"number": n, "hash": link}
    return rows


def at(rows: list[Row], name: str) -> Row:
    return next(row for row in rows if row["id"] == name)


def put(name: str, key: str, value: Any, *, again: bool) -> Callable[[list[Row]], list[Row]]:
    def act(rows: list[Row]) -> list[Row]:
        at(rows, name)[key] = value
        return chained(rows) if again else rows

    return act


def without(name: str, *, again: bool) -> Callable[[list[Row]], list[Row]]:
    def act(rows: list[Row]) -> list[Row]:
        kept = [row for row in rows if row["id"] != name]
        return chained(kept) if again else kept

    return act


def twice(rows: list[Row]) -> list[Row]:
    """A second resolution of the same pend, with a chain that fits."""
    return chained([*rows, {**at(rows, "p0:post"), "id": "p0:again"}])


def swapped(rows: list[Row]) -> list[Row]:
    return [rows[1], rows[0], *rows[2:]]


TRANSFERS: dict[str, tuple[Callable[[list[Row]], list[Row]], str]] = {
    "an amount": (put("t2", "amount_msat", 701, again=False), "transfers.jsonl:{t2}: the chain"),
    "a kind": (put("t1", "kind", "gift", again=False), "transfers.jsonl:{t1}: the chain"),
    "a moment": (put("t1", "created_at", 1, again=False), "transfers.jsonl:{t1}: the chain"),
    "a line less": (without("t2", again=False), "transfers.jsonl:{t2}: the chain"),
    "two lines swapped": (swapped, "transfers.jsonl:1: the chain"),
    "an amount, and the chain anew": (put("t2", "amount_msat", 701, again=True), "accounts.jsonl:3: not the sums"),
    "a line less, and the chain anew": (without("t4", again=True), "accounts.jsonl:3: not the sums"),
    "more posted than held": (put("p0:post", "amount_msat", 101, again=True), "transfers.jsonl:{p0:post}: nothing, or less"),
    "posted to another": (put("p0:post", "credit_account", ORG.id, again=True), "transfers.jsonl:{p0:post}: nothing, or less"),
    "posted out of nothing": (put("p0:post", "pending_id", None, again=True), "transfers.jsonl:{p0:post}: nothing, or less"),
    "resolved twice": (twice, "transfers.jsonl:10: the chain is broken, the amount is none, or this was resolved before"),
    "a negative amount": (put("t2", "amount_msat", -1, again=True), "transfers.jsonl:{t2}: the chain is broken, the amount"),
}  # fmt: skip
ACCOUNTS: dict[str, tuple[Callable[[list[Row]], list[Row]], str]] = {
    "a balance": (put(ORG.id, "credits_msat", 10_001, again=False), "accounts.jsonl:3: not the sums"),
    "what is held": (put(ANA.id, "debits_pending_msat", 0, again=False), "accounts.jsonl:4: not the sums"),
    "an account less": (without(ANA.id, again=False), "accounts.jsonl: without ['per_1:payable']"),
    "below its floor": (put(ANA.id, "floor_msat", 551, again=False), "accounts.jsonl:4: not the sums"),
}


async def test_a_stranger_finds_the_export_right_and_every_change_in_it(
    work: UnitOfWork, tmp_path: Path
) -> None:
    await fill(work)
    transfers, accounts_ = await written(work, Format.JSONL, tmp_path)
    honest = {path: read_json(path) for path in (transfers, accounts_)}
    last = honest[transfers][-1]["hash"]
    assert verify(transfers, accounts_) == (0, f"the books are right up to {last}\n")
    numbers = {row["id"]: row["number"] for row in honest[transfers]}
    assert [row["id"] for row in honest[accounts_]] == [CAPITAL.id, CLEARING.id, ORG.id, ANA.id]
    for path, changes in ((transfers, TRANSFERS), (accounts_, ACCOUNTS)):
        before = path.read_text()
        for name, (change, message) in changes.items():
            rows = change([dict(row) for row in honest[path]])
            path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
            code, said = verify(transfers, accounts_)
            for identity, number in numbers.items():
                message = message.replace(f"{{{identity}}}", str(number))
            assert (code, said.startswith(f"{tmp_path}/{message}")) == (1, True), name
        path.write_text(before)
    assert verify(transfers, accounts_)[0] == 0


async def test_the_csv_says_the_same_and_runs_nothing(work: UnitOfWork, tmp_path: Path) -> None:
    await fill(work)
    for lines, cells in zip(
        await written(work, Format.JSONL, tmp_path), await written(work, Format.CSV, tmp_path), strict=True
    ):
        with cells.open(encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file))
        assert [{name: _plain(cell) for name, cell in row.items()} for row in found] == [
            {name: "" if value is None else str(value) for name, value in row.items()}
            for row in read_json(lines)
        ]
        assert [cell for row in found for cell in row.values() if cell[:1] in tuple("=+-@\t\r\n")] == []
    assert f"'{FORMULA}".replace('"', '""') in (tmp_path / "transfers.csv").read_text()


def _plain(cell: str) -> str:
    """What the docstring of `core/ledger/export.py` says about a text cell."""
    return cell.removeprefix("'")


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=1", "'=1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"), ("\nx", "'\nx"), ("'x", "''x"),
     ("＝1", "'＝1"), ("a=1", "a=1"), ("", ""), (-5, -5), (None, None)],
)  # fmt: skip
def test_a_cell_that_a_spreadsheet_would_run_is_guarded(text: Any, cell: Any) -> None:
    assert export._safe(text) == cell


async def test_a_period_of_transfers_keeps_numbers_and_hashes(work: UnitOfWork, tmp_path: Path) -> None:
    await fill(work)
    async with work.begin("test.clock") as tx:
        now = await tx.now_ms()
    everything = read_json((await written(work, Format.JSONL, tmp_path))[0])
    tomorrow, long_ago = moment("2100-01-01"), moment("2000-01-01T00:00:00Z")
    for period, wanted in (
        (Period(since=long_ago, until=tomorrow), everything),
        (Period(until=long_ago), []),
        (Period(since=tomorrow), []),
    ):
        async with work.read() as session:
            parts = [part async for part in export.transfers(session, Format.JSONL, period)]
        assert [json.loads(line) for part in parts for line in part.splitlines()] == wanted
    assert all(row["created_at"] <= now for row in everything)


async def test_a_statement_as_a_file_has_its_ends(work: UnitOfWork) -> None:
    await fill(work)
    async with work.read() as session:
        parts = [part async for part in export.statement(session, Format.JSONL, ANA.id)]
    lines = [json.loads(line) for part in parts for line in part.splitlines()]
    assert (lines[0]["kind"], lines[0]["balance_msat"]) == ("opening", 0)
    assert (lines[-1]["kind"], lines[-1]["balance_msat"]) == ("closing", 658)
    assert sorted((one["id"], one["change_msat"]) for one in lines[1:-1]) == [
        ("p0", 0), ("p0:post", -60), ("p1", 0), ("p1:void", 0), ("p2", 0), ("p2:post", -1),
        ("t2", 700), ("t3", 5), ("t4", 5), ("t5", 9),
    ]  # fmt: skip
    standing = 0
    for one in lines[1:-1]:
        standing += one["change_msat"]
        assert one["balance_msat"] == standing


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-11-24T10:00:00+01:00", ""])
def test_a_moment_is_utc_or_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment(text)


def test_what_is_hashed_is_what_is_stored() -> None:
    """A new column must be hashed too, at the end."""
    assert set(chain.COLUMNS) == set(LedgerTransfer.__table__.columns.keys())


def test_a_hash_by_hand() -> None:
    text = f'["{"0" * 64}",1,"t1","a","b",5,"k","é\\"\\n",1,"single",null]'
    row = ("t1", "a", "b", 5, "k", 'é"\n', 1, "single", None)
    assert chain.link_hash(chain.GENESIS, 1, row) == hashlib.sha256(text.encode()).hexdigest()
