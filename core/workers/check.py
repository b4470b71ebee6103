"""What a worker's values may be. Pure; used by `core/workers/actions.py` before anything is written."""

from __future__ import annotations

import re
from collections.abc import Iterable

from core.errors import Invalid
from core.workers.model import MAX_CAPACITY, MAX_SKILLS, MAX_TIER, NewWorker, ProfileChange

_SKILL = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,63}\Z")

# LUD-16: `<username>@<host>`, user of a-z0-9-_.+ (LUD-16 and its `+tag`), like an e-mail address. A port and a
# one-label host are for hubs that run their own Lightning address server beside them.
# https://github.com/lnurl/luds/blob/luds/16.md
_ADDRESS = re.compile(
    r"[a-z0-9_.+-]{1,64}@(?=[a-z0-9.-]{1,253}(?::|\Z))"
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::[0-9]{1,5})?\Z"
)


# A Strike handle; ana@strike.me answers for it (LUD-16), through the same checks as every other address.
_STRIKE = re.compile(r"strike:\s*([a-z0-9_.-]{1,64})\Z")


def address(text: str) -> str:
    """The Lightning address in its one form (trimmed, lower case); `strike:ana` is ana@strike.me. Judges the shape
    alone; whether it can be paid is known when an invoice is asked of it. Raises Invalid."""
    tidy = text.strip().lower()
    handle = _STRIKE.match(tidy)
    if handle is not None:
        tidy = f"{handle[1]}@strike.me"
    if len(tidy) > 320 or _ADDRESS.match(tidy) is None:
        told = "Must look like name@example.com"
        if tidy.startswith(("lightning:", "lnbc", "lntb", "lnurl")):
            told += "; an invoice is pasted beside the payout that it is for"
        raise Invalid(
            "bad_payout_address",
            "This is not a Lightning address",
            field_errors={"payoutAddress": told},
        )
    return tidy


def skills(wanted: Iterable[str]) -> frozenset[str]:
    """Raises Invalid for too many, or for one that no task could name."""
    tidy = frozenset(wanted)
    bad = sorted(skill for skill in tidy if _SKILL.match(skill) is None)
    if bad or len(tidy) > MAX_SKILLS:
        raise Invalid(
            "bad_skills",
            "A skill is 1 to 64 of a-z, 0-9, `_ . : -`",
            field_errors={"skills": f"Not a skill: {bad[0][:64]!r}" if bad else f"At most {MAX_SKILLS}"},
        )
    return tidy


def cluster(text: str) -> str:
    """Raises Invalid for a name that is none."""
    tidy = text.strip()
    if _SKILL.match(tidy) is None:
        told = {"cluster": "1 to 64 of a-z, 0-9, `_ . : -`; leave it out to take somebody out of theirs"}
        raise Invalid("bad_cluster", "This is no name of a cluster", field_errors=told)
    return tidy


def new_worker(new: NewWorker) -> None:
    """Raises Invalid, with every field that is wrong."""
    skills(new.skills)
    _numbers(
        tier=new.tier,
        reliability=new.reliability,
        price_floor_msat=new.price_floor_msat,
        capacity=new.capacity,
    )


def change(wanted: ProfileChange) -> None:
    """Raises Invalid, with every field that is wrong."""
    given = {
        name: value
        for name in wanted.__struct_fields__
        if isinstance(value := getattr(wanted, name), (int, float))
    }
    if isinstance(wanted.skills, frozenset):
        skills(wanted.skills)
    _numbers(**given)


def _numbers(**values: float) -> None:
    limits: dict[str, tuple[float, float]] = {
        "tier": (0, MAX_TIER),
        "reliability": (0, 1),
        "price_floor_msat": (0, 2**62),
        "capacity": (0, MAX_CAPACITY),
    }
    wrong = {
        name: "Must be {} to {}".format(*limits[name])
        for name, value in values.items()
        if not limits[name][0] <= value <= limits[name][1]
    }
    if wrong:
        raise Invalid("bad_worker", "A value of this worker is out of range", field_errors=wrong)
