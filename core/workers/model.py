"""What routing and the pages know of a worker, and what an operator or the worker may change of it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from core.tasks.model import Environment

MAX_TIER = 4
MAX_CAPACITY = 100
MAX_SKILLS = 64


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One worker. `reliability` is the chance (0 to 1) that an answer of theirs is right, `price_floor_msat` the least
    they work for, `load` of `capacity` assignments are in their hands; `idle_since` is UTC.
    `auto_assign`: they wish to have questions without accepting each."""

    id: str
    environment: Environment
    skills: frozenset[str]
    tier: int
    reliability: float
    price_floor_msat: int
    capacity: int
    load: int
    available: bool
    payout_address: str | None
    idle_since: datetime
    auto_assign: bool = False


class NewWorker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker to be made of a person. The middle of `reliability` is where somebody without a history starts."""

    person_id: str
    environment: Environment
    skills: frozenset[str] = frozenset()
    tier: int = 0
    reliability: float = 0.5
    price_floor_msat: int = 0
    capacity: int = 1
    available: bool = False
    payout_address: str | None = None


class ProfileChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is set is changed, what is not stays."""

    skills: frozenset[str] | msgspec.UnsetType = msgspec.UNSET
    tier: int | msgspec.UnsetType = msgspec.UNSET
    reliability: float | msgspec.UnsetType = msgspec.UNSET
    price_floor_msat: int | msgspec.UnsetType = msgspec.UNSET
    capacity: int | msgspec.UnsetType = msgspec.UNSET
