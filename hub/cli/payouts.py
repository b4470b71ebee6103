"""`hub payouts`: what was sent and why not, going on by hand, the kill switch, and each rail's history."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from core import clock
from core.errors import NotFound
from core.payouts import actions, controls, desk
from core.payouts.compare import Finding
from core.payouts.controls import HUB, Cause, rail_subject
from core.payouts.rail import Rail
from core.payouts.reconcile import explain as explain_payment
from core.payouts.reconcile import reconcile as reconcile_rail
from core.payouts.states import PayoutState
from hub.cli.common import OPERATOR, run, table
from hub.wiring import Wiring


@click.group("payouts")
def command() -> None:
    """What workers are paid, in millisatoshi."""


@command.command("list")
@click.option("--state", type=click.Choice([str(state) for state in PayoutState]), default=None)
@click.option("--limit", default=50, show_default=True)
def list_payouts(state: str | None, limit: int) -> None:
    """The newest payouts."""

    async def act(wiring: Wiring) -> list[tuple[object, ...]]:
        async with wiring.services.work.read() as session:
            rows, _ = await desk.listing(session, state=state or "", limit=limit)
        return [
            (row.id, row.state, row.environment, row.amount_msat, row.rail or "", clock.iso(row.created_at))
            for row in rows
        ]

    table(run(act), ["id", "state", "environment", "msat", "rail", "earned"])


@command.command("show")
@click.argument("payout_id")
def show(payout_id: str) -> None:
    """One payout with every attempt, transfer, job and repair item."""

    async def act(wiring: Wiring) -> desk.Trail:
        async with wiring.services.work.read() as session:
            return await desk.trail(session, payout_id)

    found = run(act)
    payout = found.payout
    click.echo(f"{payout.id}  {payout.state}  {payout.amount_msat} msat  {payout.environment}")
    click.echo(f"task {payout.task_id}, worker {payout.worker_id}, earned {clock.iso(payout.created_at)}")
    if found.note:
        click.echo(f"waits: {found.note}")
    click.echo()
    table(
        [
            (
                one.number,
                one.rail,
                one.state,
                one.payment_hash,
                one.fee_msat,
                one.max_fee_msat,
                one.error or "",
            )
            for one in found.attempts
        ],
        ["attempt", "rail", "state", "payment hash", "fee", "fee limit", "said"],
    )
    click.echo()
    table(
        [
            (
                clock.iso(one.created_at),
                one.kind,
                one.phase,
                one.debit_account,
                one.credit_account,
                one.amount_msat,
            )
            for one in found.transfers
        ],
        ["at", "transfer", "phase", "from", "to", "msat"],
    )
    click.echo()
    table(
        [
            (one.topic, one.state, one.attempts, clock.iso(one.due_at), one.last_error or "")
            for one in found.jobs
        ],
        ["job", "state", "tries", "due", "last error"],
    )
    for item in found.repairs:
        click.echo(f"{'closed' if item.closed_at else 'OPEN'} {item.kind}: {item.message}")


@command.command("retry")
@click.argument("payout_id")
def retry(payout_id: str) -> None:
    """Go on with a payout whose attempts are used up, or wake one that waits."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("operator.retry") as tx:
            await actions.retry(tx, payout_id, actor=OPERATOR)

    run(act)
    click.echo(f"{payout_id} goes on")


@command.command("pause")
@click.option("--reason", required=True, help="Shown to whoever asks why nothing is sent.")
@click.option("--rail", default=None, help="One rail alone.")
def pause(reason: str, rail: str | None) -> None:
    """The kill switch: from now on nothing new is sent. What is under way arrives, and look-ups go on."""

    async def act(wiring: Wiring) -> None:
        subject = _subject(wiring, rail)
        async with wiring.services.work.begin("operator.pause") as tx:
            await controls.pause(tx, subject, Cause.OPERATOR, reason, by=OPERATOR)

    run(act)
    click.echo(f"paused: {rail or 'all payouts'}")


@command.command("resume")
@click.option("--rail", default=None, help="One rail alone; its breaker too.")
def resume(rail: str | None) -> None:
    """Take back a pause. What a reconciliation froze goes on when every finding is explained."""

    async def act(wiring: Wiring) -> list[str]:
        subject = _subject(wiring, rail)
        async with wiring.services.work.begin("operator.resume") as tx:
            await actions.resume(tx, subject, actor=OPERATOR)
        async with wiring.services.work.read() as session:
            held = await controls.in_force(session, clock.now_ms())
            paused = ["hub: file: payouts.paused in hub.yaml"] if wiring.settings.payouts.paused else []
            return [*paused, *(f"{one.subject}: {one.cause}: {one.reason}" for one in held)]

    left = run(act)
    click.echo("payouts go on" if not left else "still held:")
    for line in left:
        click.echo(f"  {line}")


@command.command("reconcile")
@click.argument("rail", required=False)
@click.option(
    "--since", default=None, help="From this day on (YYYY-MM-DD, UTC), if that is earlier than usual."
)
def reconcile(rail: str | None, since: str | None) -> None:
    """Hold a rail's own history (or every rail's) against our attempts; exit 1 when they disagree."""
    since_ms = None
    if since is not None:
        try:
            since_ms = clock.to_ms(datetime.fromisoformat(f"{since}T00:00:00+00:00"))
        except ValueError as error:
            raise click.BadParameter("write a day as 2026-11-23", param_hint="--since") from error

    async def act(wiring: Wiring) -> list[tuple[str, str]]:
        rails = wiring.services.rails
        chosen: list[Rail] = list(rails.values()) if rail is None else [_known(wiring, rail)]
        said: list[tuple[str, str]] = []
        for one in chosen:
            row = await reconcile_rail(wiring.services.work, one, since_ms=since_ms)
            if row is None:
                said.append(("none", f"{one.name}: not used yet, or keeps no history that can be read"))
                continue
            since_day = row.since.date().isoformat()
            said.append(
                ("ok", f"{one.name}: {row.payments} payments since {since_day}, {len(row.findings)} findings")
            )
            for value in row.findings:
                finding = Finding.read(value)
                said.append(("finding", f"  {finding.kind} {finding.payment_hash}: {finding.words}"))
        return said

    said = run(act)
    for _, line in said:
        click.echo(line)
    sys.exit(1 if any(kind == "finding" for kind, _ in said) else 0)


@command.command("explain")
@click.argument("rail")
@click.argument("payment_hash")
@click.option("--note", required=True, help="Why this is right; kept for ever.")
def explain(rail: str, payment_hash: str, note: str) -> None:
    """Say why a finding of a reconciliation is right; when all are explained, payouts go on."""

    async def act(wiring: Wiring) -> bool:
        async with wiring.services.work.begin("operator.explain") as tx:
            return await explain_payment(tx, rail, payment_hash, note, by=OPERATOR)

    click.echo("explained; payouts go on" if run(act) else "explained")


def _known(wiring: Wiring, rail: str) -> Rail:
    try:
        return wiring.services.rails[rail]
    except KeyError:
        raise NotFound("rail_not_found", f"rails.use has no rail {rail!r}; see `hub rails`") from None


def _subject(wiring: Wiring, rail: str | None) -> str:
    return HUB if rail is None else rail_subject(_known(wiring, rail).name)
