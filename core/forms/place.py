"""Where in the answer a field stands, while the tree of fields is made. Used by `core/forms/plan.py` and
`controls.py`."""

from __future__ import annotations

import msgspec


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """`locations` are the schemas that apply, `name` the pointer in the form, `pointer` in the answer (a blank row of
    a list is in the form only), `value` what is there so far (or MISSING). `number` counts the row in a list (from 1),
    `chosen`: it belongs to a chosen alternative, `level` counts the groups around, `above` the schemas of those."""

    locations: tuple[str, ...]
    name: str
    pointer: str
    value: object
    label: str
    required: bool
    live: bool = False
    chosen: bool = False
    number: int = 0
    level: int = 0
    above: frozenset[str] = frozenset()
