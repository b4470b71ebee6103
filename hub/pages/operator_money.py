"""The operator's money: the trial balance, the check of the books, the statement of every account, and the books as files.
Nothing here can be edited: a wrong posting is mended by another posting."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from urllib.parse import urlencode

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Stream
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.access.sessions import SignedIn
from core.errors import NotFound
from core.ledger import balances, export
from core.ledger.accounts import AccountKind
from core.ledger.check import snapshot
from core.ledger.export import Format
from core.ledger.seal import seal_all
from core.ledger.statements import ends
from core.ledger.tables import LedgerAccount
from hub import auth
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.templating import page
from hub.services import Services

PAGE = 50


@get("/", name="operator.money", include_in_schema=False)
async def show_money(
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    check: FromQuery[str] = "",
) -> Response[str]:
    """The sums by kind of account. The check reads the whole ledger, so it runs when it is asked for."""
    async with services.work.read() as session:
        trial = await balances.trial_balance(session)
    problems = None
    if check:
        without = [name for name, rail in services.rails.items() if not rail.capabilities.proves_by_preimage]
        async with services.work.read() as session:
            problems = await balances.check(session, rails_without_preimage=without)
    return page(
        "operator_money.html",
        person,
        heading="Money",
        area="operator",
        here="money",
        test_money=test_money(services, ""),
        trial=trial,
        balanced=trial.balanced,
        problems=problems,
    )


@get("/accounts", name="operator.money.accounts", include_in_schema=False)
async def show_accounts(
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    kind: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[str]:
    """Accounts by id, of one kind or all."""
    async with services.work.read() as session:
        rows = await _accounts(session, kind, after)
    following = {"kind": kind, "after": rows[PAGE - 1].id} if len(rows) > PAGE else None
    return page(
        "operator_accounts.html",
        person,
        heading="Accounts",
        area="operator",
        here="money",
        test_money=test_money(services, ""),
        kind=kind,
        kinds=list(AccountKind),
        accounts=rows[:PAGE],
        following=f"/operator/money/accounts?{urlencode(following)}" if following else "",
    )


async def _accounts(session: AsyncSession, kind: str, after: str) -> list[LedgerAccount]:
    statement = select(LedgerAccount).where(LedgerAccount.id > after)
    if kind:
        statement = statement.where(LedgerAccount.kind == kind)
    return list(await session.scalars(statement.order_by(LedgerAccount.id).limit(PAGE + 1)))


@get("/statement", name="operator.money.statement", include_in_schema=False)
async def show_statement(
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    account: FromQuery[str],
    before: FromQuery[str] = "",
) -> Response[str]:
    """The transfers of one account, newest first."""
    async with services.work.read() as session:
        found = await balances.statement(session, account, before=before or None, limit=PAGE)
    following = {"account": account, "before": found.next_before} if found.next_before else None
    return page(
        "operator_statement.html",
        person,
        heading="Statement",
        area="operator",
        here="money",
        test_money=test_money(services, ""),
        statement=found,
        following=f"/operator/money/statement?{urlencode(following)}" if following else "",
    )


@get("/statement/file", name="operator.money.statement_file", include_in_schema=False)
async def download_statement(services: NamedDependency[Services], account: FromQuery[str]) -> Stream:
    """Every line of one account, oldest first, as CSV."""
    async with services.work.read() as session:
        await ends(session, account)

    async def lines() -> AsyncGenerator[str]:
        async with services.work.read() as session:
            async for part in export.statement(session, Format.CSV, account):
                yield part

    return _file(lines(), "statement.csv")


@get("/books/{name:str}", name="operator.money.books", include_in_schema=False)
async def download_books(services: NamedDependency[Services], name: FromPath[str]) -> Stream:
    """All transfers in the order of the chain, or all accounts, as `hub ledger export` writes them."""
    what, _, ending = name.partition(".")
    writers = {"transfers": export.transfers, "accounts": export.accounts}
    if what not in writers or ending not in set(Format):
        raise NotFound("no_such_file", "There are transfers and accounts, each as .csv and .jsonl")
    await seal_all(services.work)

    async def lines() -> AsyncGenerator[str]:
        async with services.work.read() as session:
            await snapshot(session)
            async for part in writers[what](session, Format(ending)):
                yield part

    return _file(lines(), name)


def _file(lines: AsyncGenerator[str], name: str) -> Stream:
    media = "text/csv; charset=utf-8" if name.endswith("csv") else "application/x-ndjson"
    return Stream(lines, media_type=media, headers={"Content-Disposition": f'attachment; filename="{name}"'})


ROUTER = Router(
    path="/operator/money",
    guards=[no_nul, auth.operator],
    route_handlers=[show_money, show_accounts, show_statement, download_statement, download_books],
)
