"""Which branch of a oneOf/anyOf a value was meant for, so that its errors are told and not those of the others.
Called by `core/forms/validate.py` and `core/forms/plan.py`."""

from __future__ import annotations

from collections.abc import Sequence

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind


def nearest(branches: Sequence[Sequence[ValidationError]], depth: int) -> int | None:
    """The index of the branch that misses least, None when two are equally far. `depth` is the number of tokens
    in the path of the judged value.

    A branch of another type is furthest, then one whose constants differ (the tag of a union), then more errors.
    """
    ranks = [_rank(errors, depth) for errors in branches]
    best = min(ranks)
    return ranks.index(best) if ranks.count(best) == 1 else None


def _rank(errors: Sequence[ValidationError], depth: int) -> tuple[int, int, int]:
    other_type = constants = 0
    for error in errors:
        below = len(error.instance_path) - depth
        if below == 0 and isinstance(error.kind, Kind.Type):
            other_type += 1
        elif below <= 1 and isinstance(error.kind, Kind.Constant | Kind.Enum):
            constants += 1
    return other_type, constants, len(errors)


def only_missing(branches: Sequence[Sequence[ValidationError]]) -> list[str] | None:
    """The names when each branch fails by nothing but one missing property ("either e-mail or phone"), else None."""
    names: list[str] = []
    for errors in branches:
        if len(errors) != 1 or not isinstance(errors[0].kind, Kind.Required):
            return None
        names.append(errors[0].kind.property)
    return list(dict.fromkeys(names))


def only_constants(branches: Sequence[Sequence[ValidationError]], depth: int) -> list[object] | None:
    """The allowed values when each branch is a constant or a list of them (an enum with titles), else None."""
    values: list[object] = []
    for errors in branches:
        kinds = [error.kind for error in errors if len(error.instance_path) == depth]
        own = [kind for kind in kinds if isinstance(kind, Kind.Constant | Kind.Enum)]
        if not own or len(kinds) < len(errors):
            return None
        first = own[0]
        values += [first.expected_value] if isinstance(first, Kind.Constant) else first.options
    return values
