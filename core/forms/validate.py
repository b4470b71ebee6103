"""Whether an answer fits its schema, in a person's words. Called when an answer is submitted (API and page), by the
first verification stage, and with drafts by the form page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from core.forms import branches, cost, facts, pointers, spot
from core.forms.budget import EVALUATIONS, Budget
from core.forms.compiled import CompiledSchema
from core.forms.measure import MAX_TEXT, MAX_TEXT_WITH_PATTERNS, measure
from core.forms.model import FieldError
from core.forms.profile import check
from core.forms.sentences import listing, sentence

__all__ = ["FieldError", "errors"]

MAX_ERRORS = 50
# jsonschema-rs lists every error of every branch before it hands out the first, 8 to 15 µs each.
LISTED_EVALUATIONS = 5_000
_BRANCHES_DEEP = 4


def errors(schema: dict[str, Any] | None, instance: object) -> list[FieldError]:
    """What is wrong with the answer, at most `MAX_ERRORS`, in the order of the schema; empty when it fits.

    A value that is missing is told at its own pointer ("Required"). Raises Invalid when the schema is out of profile.
    """
    doc = check(schema)
    sizes = measure(instance, max_text=MAX_TEXT_WITH_PATTERNS if doc.has_patterns else MAX_TEXT)
    if isinstance(sizes, FieldError):
        return [sizes]
    if cost.bound(doc.visits[""], sizes) > EVALUATIONS:
        return [
            FieldError(pointer="", message="Too large to be checked; give a shorter answer", keyword="size")
        ]
    if doc.validator.is_valid(instance):
        return []
    found = dict.fromkeys(_find(doc, "", instance, "", Budget()))
    return list(found)[:MAX_ERRORS] or [_misfit("")]


def _misfit(pointer: str) -> FieldError:
    return FieldError(pointer=pointer, message="Does not fit what was asked for", keyword="schema")


def _find(
    doc: CompiledSchema, location: str, value: object, pointer: str, budget: Budget
) -> Iterator[FieldError]:
    """The errors of a value known to be wrong: listed by the validator where that is cheap, else searched below."""
    sizes = measure(value, max_text=MAX_TEXT)
    if isinstance(sizes, list) and cost.bound(doc.visits[location], sizes) <= LISTED_EVALUATIONS:
        for error in doc.validator_at(location).iter_errors(value):
            yield from _told(error, pointer, 0)
        return
    flat = spot.lay_flat(doc, [location], value, budget)
    told = 0
    for token, child, places in _children(doc, flat, value):
        below = pointers.join(pointer, token)
        for place in places:
            if child is spot.MISSING:
                yield FieldError(pointer=below, message="Required", keyword="required")
            elif budget.fits(doc, place, child):
                continue
            else:
                yield from _find(doc, place, child, below, budget)
            told += 1
            if told >= MAX_ERRORS:
                return
    if not told:
        yield _misfit(pointer)


def _children(
    doc: CompiledSchema, flat: spot.Spot, value: object
) -> Iterator[tuple[str, object, tuple[str, ...]]]:
    """(token, value, schemas) of the properties or items; a required one that is not there is MISSING."""
    if isinstance(value, dict):
        held = cast("dict[str, object]", value)
        for name in facts.required(flat, held):
            if name not in held:
                yield name, spot.MISSING, ("",)
        for name, child in held.items():
            yield name, child, facts.of_property(doc, flat, name)
    elif isinstance(value, list):
        for index, child in enumerate(cast("list[object]", value)):
            yield str(index), child, facts.of_item(flat, index)


def _told(error: ValidationError, base: str, deep: int) -> Iterator[FieldError]:
    pointer = base + pointers.from_path(error.instance_path)
    kind = error.kind
    match kind:
        case Kind.AnyOf(context=context) | Kind.OneOfNotValid(context=context):
            yield from _of_branches(error, context, base, deep)
        case Kind.Required(property=name):
            yield FieldError(pointer=pointers.join(pointer, name), message="Required", keyword="required")
        case Kind.AdditionalProperties(unexpected=names) | Kind.UnevaluatedProperties(unexpected=names):
            for name in names[:MAX_ERRORS]:
                yield _error(pointers.join(pointer, name), error)
        case Kind.UnevaluatedItems(unexpected=indexes):
            for index in indexes[:MAX_ERRORS]:
                yield _error(pointers.join(pointer, index), error)
        case _:
            yield _error(pointer, error)


def _of_branches(
    error: ValidationError, context: list[list[ValidationError]], base: str, deep: int
) -> Iterator[FieldError]:
    path = error.instance_path
    pointer = base + pointers.from_path(path)
    if (names := branches.only_missing(context)) is not None:
        message = f"Fill in at least one of: {listing(names)}"
        yield FieldError(pointer=pointer, message=message, keyword=error.kind.name)
    elif (values := branches.only_constants(context, len(path))) is not None:
        yield FieldError(
            pointer=pointer, message=f"Choose one of: {listing(values)}", keyword=error.kind.name
        )
    elif (index := branches.nearest(context, len(path))) is not None and deep < _BRANCHES_DEEP:
        for inner in context[index]:
            yield from _told(inner, base, deep + 1)
    else:
        yield _error(pointer, error)


def _error(pointer: str, error: ValidationError) -> FieldError:
    return FieldError(pointer=pointer, message=sentence(error.kind), keyword=error.kind.name)
