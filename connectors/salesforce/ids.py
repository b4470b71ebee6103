"""Salesforce's record ids: 15 characters that tell upper from lower case, or 18 whose last three repeat which of them
are upper. Pure; used wherever an id is compared or reaches a path."""

from __future__ import annotations

import re

RECORD_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Z0-5]{3})?\Z")
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def suffix_of(id15: str) -> str:
    """The three characters that an 18-character id adds: one for five places, a bit for each upper case letter."""
    return "".join(
        _SUFFIX[sum(1 << bit for bit, char in enumerate(id15[start : start + 5]) if "A" <= char <= "Z")]
        for start in (0, 5, 10)
    )


def id18(record_id: object) -> str | None:
    """The 18 characters of an id of either length, so that one record has one name; None for anything else.

    A wrong suffix means that some tool changed the case of the id: it names nothing."""
    if not isinstance(record_id, str) or RECORD_ID.match(record_id) is None:
        return None
    whole = record_id[:15] + suffix_of(record_id[:15])
    return whole if record_id in (whole, whole[:15]) else None
