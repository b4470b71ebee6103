"""`hub organisations people`: whom an organisation wants no more, and whom alone it wants."""

from __future__ import annotations

import click

from core import clock
from core.access import people
from core.errors import NotFound
from core.routing import lists
from core.routing.lists import Word
from hub.cli.common import OPERATOR, organisation_named, run, table
from hub.wiring import Wiring


@click.group("people")
def command() -> None:
    """An organisation's own word on workers. Where it allows somebody, nobody else gets its tasks."""


@command.command("list")
@click.argument("name")
def list_all(name: str) -> None:
    """Everybody whom the organisation allows or blocks."""

    async def act(wiring: Wiring) -> list[tuple[object, ...]]:
        async with wiring.services.work.read() as session:
            organisation = await organisation_named(session, name)
            return [
                (row.kind, person.name, person.email, row.worker_id, clock.iso(row.created_at), row.reason)
                for row, person in await lists.listed(session, organisation.id)
            ]

    table(run(act), ["word", "name", "email", "worker", "since", "reason"])


def _say(name: str, email: str, word: Word, reason: str) -> None:
    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("organisation.people") as tx:
            organisation = await organisation_named(tx.session, name)
            person = await people.by_email(tx.session, email)
            if person is None:
                raise NotFound("person_not_found", f"There is no person with the address {email!r}")
            await lists.say(tx, organisation, person.id, word, reason=reason, actor=OPERATOR)

    run(act)
    click.echo(f"{name}: {email} {word}ed")


@command.command("allow")
@click.argument("name")
@click.argument("email")
@click.option("--reason", default="", help="Kept with it.")
def allow(name: str, email: str, reason: str) -> None:
    """Let this worker have the organisation's tasks, and nobody who is not allowed."""
    _say(name, email, Word.ALLOW, reason)


@command.command("block")
@click.argument("name")
@click.argument("email")
@click.option("--reason", default="", help="Kept with it.")
def block(name: str, email: str, reason: str) -> None:
    """Keep the organisation's tasks from this worker."""
    _say(name, email, Word.BLOCK, reason)


@command.command("forget")
@click.argument("name")
@click.argument("email")
def forget(name: str, email: str) -> None:
    """Take a worker off the organisation's lists."""

    async def act(wiring: Wiring) -> None:
        async with wiring.services.work.begin("organisation.people") as tx:
            organisation = await organisation_named(tx.session, name)
            person = await people.by_email(tx.session, email)
            if person is None:
                raise NotFound("person_not_found", f"There is no person with the address {email!r}")
            await lists.forget(tx, organisation, person.id, actor=OPERATOR)

    run(act)
    click.echo(f"{name}: {email} is on no list")
