"""A person is invited, and comes in by that and becomes a worker, in one transaction. Called by the pages of operators and of
newcomers, and the command line."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from core import clock
from core.access import invitations, people, sessions
from core.access.roles import Role
from core.access.sessions import Opened
from core.access.tables import Invitation
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import Invalid
from core.secret import Secret
from core.tasks.model import Environment
from core.workers import check
from core.workers.actions import create
from core.workers.availability import settings_of
from core.workers.hours import zone
from core.workers.model import MAX_TIER, NewWorker
from core.workers.skills import languages, set_languages


class Newcomer(msgspec.Struct, frozen=True, kw_only=True):
    """What the form asks. `terms` is the version that was shown and accepted, empty when it was not; the payout address
    may follow later."""

    name: str
    terms: str
    languages: list[str] = []
    wanted_skills: list[str] = []
    timezone: str = "UTC"
    payout_address: str | None = None
    capacity: int = 1


def version_of(terms: str) -> str:
    """What stands for a text of terms: another text is another version."""
    return hashlib.sha256(terms.encode()).hexdigest()[:12]


async def invite(
    tx: Transaction,
    email: str,
    *,
    actor: str,
    environment: Environment = Environment.LIVE,
    tier: int = 0,
    skills: Sequence[str] = (),
) -> tuple[Invitation, Secret]:
    """`invitations.invite` of what can become a worker: whoever follows the link cannot mend a skill or a tier that is none.
    Raises Invalid, Conflict when somebody has the address."""
    check.skills(skills)
    if not 0 <= tier <= MAX_TIER:
        raise Invalid("bad_tier", "There is no such tier", field_errors={"tier": f"Must be 0 to {MAX_TIER}"})
    wanted = sorted(set(skills))
    return await invitations.invite(tx, email, actor=actor, environment=environment, tier=tier, skills=wanted)


async def join(tx: Transaction, token: str, new: Newcomer, terms: str) -> Opened:
    """The person, the worker and an open session. `terms` is the text in force. Nothing is offered before the worker
    switches offers on. Raises Unauthenticated for a link that is over, Invalid with every field that is wrong, Conflict
    when the address has an account."""
    found = await invitations.find(tx.session, token)
    _check(new, terms)
    person = await people.create(
        tx, role=Role.WORKER, name=new.name, email=found.email, actor=f"invitation:{found.id}"
    )
    await invitations.use(tx, token, person.id)
    actor = f"person:{person.id}"
    worker = await create(
        tx,
        NewWorker(
            person_id=person.id,
            environment=Environment(found.environment),
            skills=frozenset(found.skills),
            tier=found.tier,
            capacity=new.capacity,
            payout_address=new.payout_address or None,
        ),
        actor=actor,
    )
    kept = await settings_of(tx, worker)
    kept.timezone = new.timezone
    kept.wanted_skills = sorted(set(new.wanted_skills))
    kept.terms, kept.terms_accepted_at = new.terms, clock.from_ms(await tx.now_ms())
    await record(tx, actor=actor, action="worker.terms_accepted", subject=person.id, terms=new.terms)
    await set_languages(tx, person.id, new.languages, actor=actor)
    tx.emit(
        "worker.evidence", person.id
    )  # there is none: their reliability begins as what is usual for the tier
    return await sessions.open_session(tx, person)


def _check(new: Newcomer, terms: str) -> None:
    """Every field that is wrong at once: a form is filled in once, not five times."""
    wrong: dict[str, str] = {}
    if not new.name.strip():
        wrong["name"] = "Write how we may call you"
    if not new.terms:
        wrong["terms"] = "Please read and accept the terms"
    elif new.terms != version_of(terms):
        wrong["terms"] = "The terms have changed meanwhile; please read them again"
    if not new.languages:
        wrong["languages"] = "Write at least one language, such as en"
    if not 1 <= new.capacity <= 20:
        wrong["capacity"] = "1 to 20"
    for judge in (
        lambda: languages(new.languages),
        lambda: check.skills(new.wanted_skills),
        lambda: zone(new.timezone),
        lambda: check.address(new.payout_address) if new.payout_address else None,
    ):
        try:
            judge()
        except Invalid as error:
            wrong |= {key: told for key, told in error.field_errors.items() if key not in wrong}
    if wrong:
        raise Invalid("bad_newcomer", "Something is missing or cannot be read", field_errors=wrong)
