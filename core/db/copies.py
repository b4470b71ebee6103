"""Rows of a table as objects that no session watches, from text statements. For the hot paths, which decide on what they
read and write by statements of their own: the ORM costs several times the statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from core.db.base import Base, reader, unwatched

_Row = TypeVar("_Row", bound=Base)


class Copies(Generic[_Row]):
    """All columns of one table, in their order: `names` to ask for, `of` to make an object of what came."""

    def __init__(self, kind: type[_Row]):
        columns = list(kind.__table__.columns)
        self.names = [column.name for column in columns]
        self._kind = kind
        self._attributes = [kind.__mapper__.get_property_by_column(column).key for column in columns]
        self._readers: list[tuple[int, Callable[[Any], Any]]] = [
            (place, read) for place, column in enumerate(columns) if (read := reader(column.type)) is not None
        ]

    def select(self, alias: str) -> str:
        """`a.id, a.state, …`"""
        return ", ".join(f"{alias}.{name}" for name in self.names)

    def of(self, columns: Sequence[Any]) -> _Row:
        values = list(columns)
        for place, read in self._readers:
            if values[place] is not None:
                values[place] = read(values[place])
        return unwatched(self._kind, dict(zip(self._attributes, values, strict=True)))

    def split(self, row: Sequence[Any]) -> tuple[_Row | None, Sequence[Any]]:
        """The object of the first columns of a wider row and the columns behind them; None where an outer join found none."""
        width = len(self.names)
        return (None if row[0] is None else self.of(row[:width])), row[width:]
