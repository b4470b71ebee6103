"""Organisations, keys, people, links and sessions in both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, update

from core import clock
from core.access import keys, organisations, people, sessions
from core.access.roles import Role
from core.access.sealing import Sealer, new_key
from core.access.tables import ApiKey, Organisation, Session, SignInLink
from core.audit.tables import AuditEntry
from core.billing.actions import balance
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, HubError, Invalid, NotFound, Unauthenticated
from core.secret import digest
from core.tasks.model import Environment

SEALER = Sealer([new_key()])


async def acme(work: UnitOfWork) -> Organisation:
    async with work.begin("test") as tx:
        return await organisations.create(
            tx, name="Acme", plan="pay_as_you_go", sealer=SEALER, actor="test", test_grant_msat=5_000
        )


async def test_an_organisation_has_accounts_and_a_sealed_secret(work: UnitOfWork) -> None:
    made = await acme(work)

    async with work.begin("test") as tx:
        assert await balance(tx, made.id, "test") == 5_000
        assert await balance(tx, made.id, "live") == 0
    async with work.read() as session:
        row = await organisations.get(session, made.id)
        assert (await organisations.by_name(session, "Acme")) is row
        assert await organisations.by_name(session, "acme") is None
    assert organisations.webhook_secret(row, SEALER).reveal().startswith("whsec_")
    assert "whsec" not in row.webhook_secret


async def test_names_are_taken_once(work: UnitOfWork) -> None:
    await acme(work)
    with pytest.raises(Conflict, match="exists"):
        await acme(work)
    async with work.begin("test") as tx:
        for name in ("", "  ", "a\nb", "x" * 201):
            with pytest.raises(Invalid):
                await organisations.create(tx, name=name, plan="p", sealer=SEALER, actor="test")


async def test_a_new_webhook_secret_replaces_the_old(work: UnitOfWork) -> None:
    made = await acme(work)
    before = organisations.webhook_secret(made, SEALER).reveal()

    async with work.begin("test") as tx:
        row = await organisations.get(tx.session, made.id)
        fresh = (await organisations.rotate_webhook_secret(tx, row, SEALER, actor="test")).reveal()

    async with work.read() as session:
        row = await organisations.get(session, made.id)
    assert organisations.webhook_secret(row, SEALER).reveal() == fresh != before


async def test_a_key_is_kept_as_a_digest_and_stops_when_revoked(work: UnitOfWork) -> None:
    made = await acme(work)
    async with work.begin("test") as tx:
        minted = await keys.mint(tx, made.id, Environment.LIVE, name="ci", actor="person:per_1")
    token = minted.secret.reveal()

    assert token.startswith("ek_live_")
    assert repr(minted.secret) == "Secret('***')"
    async with work.read() as session:
        row = (await session.scalars(select(ApiKey))).one()
        caller = await keys.authenticate(session, token)
        assert await keys.authenticate(session, token.replace("ek_", "hr_")) is None
        assert await keys.authenticate(session, token[:-1]) is None
        assert await keys.authenticate(session, "") is None
        assert [key.id for key in await keys.of_organisation(session, made.id)] == [row.id]
        assert await keys.of_organisation(session, "org_other") == []
    assert (row.digest, row.hint) == (digest(token), f"{token[:12]}…{token[-4:]}")
    assert caller == keys.Caller(
        key_id=row.id, organisation_id=made.id, environment=Environment.LIVE, plan="pay_as_you_go"
    )
    assert caller is not None
    assert caller.actor == f"key:{row.id}"

    async with work.begin("test") as tx:
        await keys.revoke(tx, row.id, actor="person:per_1")
    async with work.read() as session:
        assert await keys.authenticate(session, token) is None
        entries = list(await session.scalars(select(AuditEntry).where(AuditEntry.subject == row.id)))
    assert sorted(entry.action for entry in entries) == ["key.minted", "key.revoked"]
    assert all(token not in str(entry.detail) for entry in entries)
    for key_id, expected in ((row.id, Conflict), ("key_nobody", NotFound)):
        with pytest.raises(expected):
            async with work.begin("test") as tx:
                await keys.revoke(tx, key_id, actor="test")


async def test_keys_that_cannot_be_minted(work: UnitOfWork) -> None:
    made = await acme(work)
    async with work.begin("test") as tx:
        with pytest.raises(NotFound):
            await keys.mint(tx, "org_nobody", Environment.LIVE, name="x", actor="test")
        with pytest.raises(Invalid):
            await keys.mint(tx, made.id, Environment.LIVE, name="x", actor="test", prefix="sk")


async def ann(work: UnitOfWork, email: str = "Ann@Example.org") -> str:
    async with work.begin("test") as tx:
        return (await people.create(tx, role=Role.WORKER, name="Ann", email=email, actor="test")).id


async def test_people_are_known_by_their_address(work: UnitOfWork) -> None:
    person_id = await ann(work)

    async with work.read() as session:
        found = await people.by_email(session, " ann@EXAMPLE.org ")
        assert found is not None
        assert (found.id, found.email, found.role) == (person_id, "ann@example.org", "worker")
        with pytest.raises(NotFound):
            await people.get(session, "per_nobody")
    with pytest.raises(Conflict):
        await ann(work, "ann@example.org")
    for email in ("", "ann", "@example.org", "ann@", "a b@example.org", "ann@example.org\n.evil", "a@b@c"):
        with pytest.raises(Invalid):
            people.normal_email(email)


async def link(work: UnitOfWork, person_id: str) -> str:
    async with work.begin("test") as tx:
        return (await sessions.make_link(tx, person_id, actor="test")).reveal()


async def use(work: UnitOfWork, token: str) -> str | HubError:
    try:
        async with work.begin("test") as tx:
            return (await sessions.sign_in(tx, token)).token.reveal()
    except HubError as error:
        return error


async def test_a_link_signs_in_once(work: UnitOfWork) -> None:
    person_id = await ann(work)
    token = await link(work, person_id)

    outcomes = await asyncio.gather(*(use(work, token) for _ in range(8)))

    opened = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(opened) == 1
    assert {str(outcome) for outcome in outcomes if not isinstance(outcome, str)} == {
        "This sign-in link is no longer valid; ask for a new one"
    }
    async with work.read() as session:
        assert (await session.scalars(select(SignInLink))).one().digest == digest(token)
        assert (await session.scalars(select(Session))).one().digest == digest(opened[0])
        found = await sessions.find(session, opened[0])
        assert await sessions.find(session, token) is None
    assert found is not None
    assert (found.person_id, found.role, found.name, found.actor) == (
        person_id,
        "worker",
        "Ann",
        f"person:{person_id}",
    )


async def test_links_and_sessions_end(work: UnitOfWork) -> None:
    person_id = await ann(work)
    late = await link(work, person_id)
    token = await use(work, await link(work, person_id))
    assert isinstance(token, str)
    past = clock.from_ms(clock.now_ms() - 1_000)

    async with work.begin("test") as tx:
        await tx.session.execute(update(SignInLink).values(expires_at=past))
        await tx.session.execute(update(Session).values(expires_at=past))

    assert isinstance(await use(work, late), Unauthenticated)
    assert isinstance(await use(work, "nonsense"), Unauthenticated)
    async with work.read() as session:
        assert await sessions.find(session, token) is None
    async with work.begin("test") as tx:
        await sessions.purge(tx, days=1)
        assert len((await tx.session.scalars(select(Session))).all()) == 1
        await sessions.purge(tx, days=0)
        assert (await tx.session.scalars(select(Session))).all() == []
        assert (await tx.session.scalars(select(SignInLink))).all() == []


async def test_signing_out_everywhere_voids_waiting_links(work: UnitOfWork) -> None:
    person_id = await ann(work)
    waiting = await link(work, person_id)
    for _ in range(2):
        assert isinstance(await use(work, await link(work, person_id)), str)

    async with work.begin("test") as tx:
        assert await sessions.end_all(tx, person_id) == 2

    assert isinstance(await use(work, waiting), Unauthenticated)


async def test_a_blocked_person_cannot_come_back(work: UnitOfWork) -> None:
    person_id = await ann(work)
    waiting = await link(work, person_id)
    async with work.begin("test") as tx:
        await people.block(tx, person_id, actor="test")

    assert isinstance(await use(work, waiting), Unauthenticated)
    with pytest.raises(NotFound):
        await link(work, person_id)
    with pytest.raises(Conflict):
        async with work.begin("test") as tx:
            await people.block(tx, person_id, actor="test")

    async with work.begin("test") as tx:
        await people.unblock(tx, person_id, actor="test")
    assert isinstance(await use(work, await link(work, person_id)), str)
