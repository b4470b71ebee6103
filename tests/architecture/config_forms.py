"""The Structs behind the files of `config/`, walked into rows for the reference (`config_reference.py`) and into JSON
Schemas for editors (`config_schemas.py`)."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, get_origin

import msgspec
from msgspec import inspect as shapes

from connectors.expressions import (
    Condition,
    Expression,
    Mapped,
    OutcomeCondition,
    OutcomeExpression,
    OutcomeMapped,
    PlainTemplate,
    Template,
)
from connectors.form import ConnectorFile
from connectors.rails.bank import BankOptions
from connectors.rails.cln import ClnOptions
from connectors.rails.electrum import ElectrumOptions
from connectors.rails.lnbits import LnbitsOptions
from connectors.rails.lnd import LndOptions
from connectors.rails.phoenixd import PhoenixdOptions
from connectors.rails.sandbox import SandboxOptions
from connectors.rails.strike import StrikeOptions
from connectors.rails.strike_bank import StrikeBankOptions
from connectors.rates.source import SourceOptions
from connectors.rates.strike import StrikeRateOptions
from connectors.registry import CONNECTORS, connector
from connectors.secret_refs import Secrets
from core.routing.model import Policy
from core.tasks.types import TaskType
from core.verification.policy import Checks
from core.workers.quiz import Quiz
from core.workers.tiers import Trust
from hub.config_files import _PlansFile as PlansFile  # the form of the whole file has no other user
from hub.settings import Settings

# What a text in the YAML becomes when a connector's file is loaded.
CUSTOM = {
    Secrets: "`env:NAME` or `file:/path`, or a list of them, or `{secret: env:NAME, until: 2026-12-01}`",
    Mapped: "JMESPath, or an object or list of them",
    Expression: "JMESPath",
    Condition: "JMESPath that gives true or false",
    OutcomeMapped: "JMESPath over {task, result, ticket}, or an object or list of them",
    OutcomeExpression: "JMESPath over {task, result, ticket}",
    OutcomeCondition: "JMESPath over {task, result, ticket} that gives true or false",
    Template: "minijinja text",
    PlainTemplate: "minijinja text, plain",
}


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of file. `struct` is its whole content; `but` names a Struct whose fields are told elsewhere already;
    `schema` is the name of its JSON Schema, None when it is part of another file."""

    file: str
    struct: type[msgspec.Struct]
    schema: str | None = None
    but: type[msgspec.Struct] | None = None


FORMS = (
    Form(file="hub.yaml", struct=Settings, schema="hub"),
    Form(file="hub.yaml, `rails.options.sandbox`", struct=SandboxOptions),
    Form(file="hub.yaml, `rails.options.bank`", struct=BankOptions),
    Form(file="hub.yaml, `rails.options.phoenixd`", struct=PhoenixdOptions),
    Form(file="hub.yaml, `rails.options.lnbits`", struct=LnbitsOptions),
    Form(file="hub.yaml, `rails.options.lnd`", struct=LndOptions),
    Form(file="hub.yaml, `rails.options.cln`", struct=ClnOptions),
    Form(file="hub.yaml, `rails.options.electrum`", struct=ElectrumOptions),
    Form(file="hub.yaml, `rails.options.strike`", struct=StrikeOptions),
    Form(file="hub.yaml, `rails.options.strike_bank`", struct=StrikeBankOptions),
    Form(file="hub.yaml, `rates.options.strike`", struct=StrikeRateOptions),
    Form(file="hub.yaml, `rates.options` of any other source", struct=SourceOptions),
    Form(file="plans.yaml", struct=PlansFile, schema="plans"),
    Form(file="routing.yaml", struct=Policy, schema="routing"),
    Form(file="quizzes/*.yaml", struct=Quiz, schema="quiz"),
    Form(file="trust.yaml", struct=Trust, schema="trust"),
    Form(file="verification.yaml", struct=Checks, schema="verification"),
    Form(file="task_types/*.yaml", struct=TaskType, schema="task_type"),
    Form(file="connectors/*.yaml", struct=ConnectorFile),
    *(
        Form(
            file=f"connectors/{name}.yaml",
            struct=connector(name).settings,
            schema=f"connector_{name}",
            but=ConnectorFile,
        )
        for name in sorted(CONNECTORS)
    ),
)


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. `place` is its Struct and name, `Server.port`; `default` is None when it is required."""

    place: str
    name: str
    kind: str
    default: str | None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one Struct under one path, `server` or `rules[]`; the empty path is the top of the file."""

    path: str
    about: str
    keys: list[Key]


def groups(form: Form) -> list[Group]:
    """Every Struct of the form once, in the order of reading, the top first."""
    inherited = _struct(form.but).fields if form.but else ()
    own = vars(form.struct).get("__annotations__", {})  # a field that is narrowed is told again
    known = {field.encode_name for field in inherited if field.name not in own}
    return list(_groups(_struct(form.struct), "", set(), known))


def all_places() -> set[str]:
    return {key.place for form in FORMS for group in groups(form) for key in group.keys}


def _struct(form: type[msgspec.Struct]) -> shapes.StructType:
    shape = shapes.type_info(form)
    assert isinstance(shape, shapes.StructType)
    return shape


def _groups(shape: shapes.StructType, path: str, seen: set[type], known: set[str]) -> Iterator[Group]:
    seen.add(shape.cls)
    fields = [field for field in shape.fields if field.encode_name not in known]
    keys = [
        Key(
            place=f"{home_of(shape.cls, field.name).__name__.strip('_')}.{field.encode_name}",
            name=field.encode_name,
            kind=words(field.type),
            default=_default(field),
        )
        for field in fields
    ]
    yield Group(
        path=path, about=" ".join(((get_origin(shape.cls) or shape.cls).__doc__ or "").split()), keys=keys
    )
    for field in fields:
        for inner, suffix in _inside(field.type):
            if inner.cls not in seen:
                name = f"{field.encode_name}{suffix}"
                yield from _groups(inner, f"{path}.{name}" if path else name, seen, set())


def home_of(cls: type, field: str) -> type:
    """The class that says what the field is: the first one that had it; who narrows it means the same."""
    plain: type = get_origin(cls) or cls
    return [one for one in plain.__mro__ if field in vars(one).get("__annotations__", {})][-1]


def _inside(shape: shapes.Type) -> Iterator[tuple[shapes.StructType, str]]:
    if isinstance(shape, shapes.StructType):
        yield shape, ""
    elif isinstance(shape, shapes.ListType | shapes.VarTupleType):
        yield from ((inner, "[]" + suffix) for inner, suffix in _inside(shape.item_type))
    elif isinstance(shape, shapes.DictType):
        yield from ((inner, ".<name>" + suffix) for inner, suffix in _inside(shape.value_type))
    elif isinstance(shape, shapes.UnionType):
        for member in shape.types:
            yield from _inside(member)


def _default(field: shapes.Field) -> str | None:
    if field.required:
        return None
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if isinstance(value, msgspec.Struct):
        return "as below"
    if value is None:
        return "none"
    if value in ("", [], {}, ()):
        return "empty"
    return f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_plain(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_plain(key)}: {_plain(one)}' for key, one in value.items())}}}"
    return f"{value:_}" if isinstance(value, int) and value >= 100_000 else str(value)


def words(shape: shapes.Type) -> str:
    """What may stand there, for a person."""
    match shape:
        case shapes.BoolType():
            return "`true` or `false`"
        case shapes.IntType() | shapes.FloatType() | shapes.DecimalType():
            return _number(shape)
        case shapes.StrType():
            return f"text like `{shape.pattern}`" if shape.pattern else "text"
        case shapes.LiteralType():
            return ", ".join(f"`{_plain(value)}`" for value in shape.values)
        case shapes.EnumType():
            return ", ".join(f"`{member.value}`" for member in shape.cls if isinstance(member, enum.Enum))
        case shapes.ListType() | shapes.VarTupleType():
            inner = words(shape.item_type)
            return f"list of {'groups' if inner == 'group' else inner}"
        case shapes.DictType():
            return f"mapping of {words(shape.key_type)} to {words(shape.value_type)}"
        case shapes.StructType():
            return "group"
        case shapes.UnionType():
            return " or ".join(words(one) for one in shape.types if not isinstance(one, shapes.NoneType))
        case shapes.CustomType():
            return CUSTOM[shape.cls]
        case shapes.AnyType():
            return "anything"
        case _:
            raise TypeError(f"no words for {shape!r}")


def _number(shape: shapes.IntType | shapes.FloatType | shapes.DecimalType) -> str:
    name = "whole number" if isinstance(shape, shapes.IntType) else "number"
    if isinstance(shape, shapes.DecimalType):
        return "decimal number, kept exactly"
    low, high = shape.ge, shape.le
    if low is not None and high is not None:
        return f"{name}, {low:,} to {high:,}"
    return f"{name}, {low:,} or more" if low is not None else name
