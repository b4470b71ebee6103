"""The one way a row changes its state: from a state that the transition table allows, by an UPDATE that names it.
Two processes that try the same move find one winner; the other gets a Conflict."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm.attributes import set_committed_value

from core.db.base import Base
from core.db.unit_of_work import Transaction
from core.errors import Conflict

Table = Mapping[Any, frozenset[Any]]


async def move(
    tx: Transaction,
    row: Base,
    to: StrEnum,
    *,
    table: Mapping[Any, frozenset[Any]],
    column: str = "state",
    **values: Any,
) -> None:
    """Move `row` (an ORM object with an `id`) to the state `to` and set `values` with it, in the database and on
    the object. Raises Conflict when the table does not allow it or when somebody else moved the row first."""
    before = getattr(row, column)
    kind = type(row)
    name = kind.__tablename__.rstrip("s")
    if to not in table[type(to)(before)]:
        raise Conflict(
            "wrong_state", f"A {name} that is {before} cannot become {to}", state=str(before), wanted=str(to)
        )
    identity: Any = kind.__mapper__.primary_key[0]
    key = getattr(row, identity.name)
    statement = (
        update(kind)
        .where(identity == key, getattr(kind, column) == before)
        .values({column: str(to), **values})
        .execution_options(synchronize_session=False)
    )
    result: Any = await tx.session.execute(statement)
    if result.rowcount != 1:
        raise Conflict(
            "moved_meanwhile", f"This {name} is no longer {before}", state=str(before), wanted=str(to)
        )
    for attribute, value in {column: str(to), **values}.items():
        _set_clean(row, attribute, value)


def _set_clean(row: Base, attribute: str, value: Any) -> None:
    """Set without marking dirty: the UPDATE above has already written it."""
    set_committed_value(row, attribute, value)
