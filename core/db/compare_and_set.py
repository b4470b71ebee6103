"""The one way a row changes its state: from a state that the transition table allows, by an UPDATE that names it.
Two processes that try the same move find one winner; the other gets a Conflict."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy.orm.attributes import set_committed_value

from core.db.base import Base, binder
from core.db.hot import for_dialect
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
    if tx.session.new or tx.session.dirty:
        await tx.session.flush()  # a row that is moved in the transaction that made it
    sql, bind = _update(kind, column, tuple(values), tx.dialect)
    parameters = (key, before, str(to), *(b(v) for b, v in zip(bind, values.values(), strict=True)))
    if (await tx.execute(sql, parameters)).rowcount != 1:
        raise Conflict(
            "moved_meanwhile", f"This {name} is no longer {before}", state=str(before), wanted=str(to)
        )
    for attribute, value in {column: str(to), **values}.items():
        _set_clean(row, attribute, value)


@functools.cache
def _update(
    kind: type[Base], column: str, names: tuple[str, ...], dialect: str
) -> tuple[str, list[Callable[[Any], Any]]]:
    """The text of one kind of move, and what makes driver values of the values that it sets. Moves are of few kinds, and
    building the statement anew costs more than running it."""
    columns = [kind.__mapper__.columns[name] for name in names]
    settings = ", ".join(f"{name} = ${n}" for n, name in enumerate([column, *(c.name for c in columns)], 3))
    identity = kind.__mapper__.primary_key[0].name
    sql = f"UPDATE {kind.__tablename__} SET {settings} WHERE {identity} = $1 AND {column} = $2"  # noqa: S608 - names are ours
    return for_dialect(sql, dialect), [binder(c.type) for c in columns]


def _set_clean(row: Base, attribute: str, value: Any) -> None:
    """Set without marking dirty: the UPDATE above has already written it."""
    set_committed_value(row, attribute, value)
