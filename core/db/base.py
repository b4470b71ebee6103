"""What every table is made of: naming of constraints, and the column types that both databases keep alike."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from sqlalchemy import BigInteger, Boolean, Dialect, MetaData, Text, inspect
from sqlalchemy.orm import DeclarativeBase, configure_mappers
from sqlalchemy.orm.base import instance_dict
from sqlalchemy.types import TypeDecorator

from core import clock


class Base(DeclarativeBase):
    """The one metadata. Constraint names are fixed so that a migration can name them on either database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime kept as BIGINT milliseconds: one exact form on both databases, and the hot statements
    can compare and add to it as a number."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else clock.to_ms(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else clock.from_ms(value)


_decode = msgspec.json.Decoder().decode


class JsonText(TypeDecorator[Any]):
    """JSON kept as text. Not jsonb: PostgreSQL's refuses `\\u0000` and reorders keys; we never search inside."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else to_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else _decode(value)


class DecimalText(TypeDecorator[Decimal]):
    """A fiat amount or a price as its exact decimal text; SQLite's NUMERIC would make a float of it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        return None if value is None else format(value, "f")

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


def binder(kind: Any) -> Callable[[Any], Any]:
    """What makes a driver's value of one for a column of this type: our own types (above) alone differ, and alike for both
    databases."""
    bind = getattr(kind, "process_bind_param", None)
    return (lambda value: value) if bind is None else (lambda value: bind(value, None))


def reader(kind: Any) -> Callable[[Any], Any] | None:
    """What a driver's value other than NULL becomes in a column of this type: the other way round of `binder`. None: what it is."""
    for ours, read in _READERS.items():
        if isinstance(kind, ours):
            return read
    read = getattr(kind, "process_result_value", None)
    return None if read is None else functools.partial(read, dialect=None)


_READERS: dict[type[Any], Callable[[Any], Any]] = {
    UtcDateTime: clock.from_ms,
    JsonText: _decode,
    DecimalText: Decimal,
    Boolean: bool,
}
_Row = TypeVar("_Row", bound=Base)


def unwatched(of: type[_Row], values: dict[str, Any]) -> _Row:
    """A row object that no session knows and whose attributes are `values`, all of its columns: a quarter of what the
    constructor costs, which tells the ORM of each of them. For the hot paths."""
    row: _Row = _manager(of).new_instance()
    instance_dict(row).update(values)
    return row


@functools.cache
def _manager(of: type[Base]) -> Any:
    """Attributes can be read once the mappers are configured, which the first query of the ORM does otherwise: a process may
    begin with text statements alone."""
    configure_mappers()
    return inspect(of).class_manager


def to_json(value: Any) -> str:
    """The text under which a JSON value is stored."""
    return msgspec.json.encode(value).decode()
