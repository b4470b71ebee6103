"""Several answers laid over one another: a tree of the places where they can differ, each with the votes of those who
speak of it. Made by `tree` for `judge`, `close` and `agreed`; put together again by `assemble.py`. Pure data.

Answers come from strangers, so it is bounded how far one is looked into: texts and lists beyond a length, and answers with
more places than anybody fills in, are compared as a whole.

A place that some leave out (or give as null) is first a vote on its presence; what is inside it is then judged among
those who gave it. Sets become one vote per option, arrays of objects one place per key."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from core.verification.consensus.plan import Field, FieldKind, Plan, canonical

ABSENT, NULL, GIVEN = '"absent"', '"null"', '"given"'  # the options of a presence
IN, OUT = "true", "false"  # the options of one option of a set
_ANY = Field(kind=FieldKind.ANY)
MOST_VOTES = 2_000  # of all workers in all places; beyond it an answer is one vote
LONGEST_TEXT, LONGEST_LIST = 20_000, 400  # characters, members


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """One vote. `pointer` names the place in this answer, `field` the place in the schema (counters are kept by it);
    `votes` by worker: canonical options for CLOSED, the values themselves otherwise."""

    pointer: str
    field: str
    kind: FieldKind  # CLOSED, NUMBER, EXACT, TEXT or LIST
    votes: dict[str, Any]
    critical: bool
    options: tuple[str, ...] = ()
    tolerance: float = 0.0
    presence: bool = False  # a vote on whether the place is there, or whether an option is in


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A place: whether it is there (`presence`), and either its vote (`leaf`) or its parts by name, key or option."""

    kind: FieldKind
    presence: Leaf | None
    leaf: Leaf | None = None
    parts: dict[str, Node] = {}
    key: str = ""


def tree(plan: Plan, outputs: Mapping[str, Any]) -> Node:
    """`outputs` by worker. The order of the workers plays no part."""
    votes = {worker: outputs[worker] for worker in sorted(outputs)}
    if sum(map(_places, votes.values())) <= MOST_VOTES:
        node = _node(plan.root, "", "", votes, critical=not plan.marked, left_out=())
        if sum(len(leaf.votes) for leaf in leaves(node)) <= MOST_VOTES:
            return node
    leaf = Leaf(pointer="", field="", kind=FieldKind.WHOLE, votes=votes, critical=True)
    return Node(kind=FieldKind.WHOLE, presence=None, leaf=leaf)


def _places(value: Any) -> int:
    """What it costs to compare an answer, in places: the values that are compared by themselves (a list of texts or numbers is
    one, and one more for each ten members), and one more for each hundred characters. Stops beyond `MOST_VOTES`."""
    found, stack = 0, [value]
    while stack and found <= MOST_VOTES:
        one = stack.pop()
        found += 1
        if isinstance(one, str):
            found += len(one) // 100
        elif isinstance(one, dict):
            stack.extend(cast("dict[str, Any]", one).values())
        elif isinstance(one, list):
            members = cast("list[Any]", one)
            if any(isinstance(member, dict | list) for member in members):
                stack.extend(members)
            else:
                found += (
                    len(members) // 10 + sum(len(text) for text in members if isinstance(text, str)) // 100
                )
    return found


def leaves(node: Node) -> Iterator[Leaf]:
    if node.presence is not None:
        yield node.presence
    if node.leaf is not None:
        yield node.leaf
    for part in node.parts.values():
        yield from leaves(part)


def decisive(plan: Plan, node: Node) -> frozenset[str]:
    """Pointers of the leaves that hold the money: those marked `x-critical` (or inside of a marked one); without any mark
    all, but free texts only where there is nothing else: no two people write a remark alike."""
    marked = [leaf for leaf in leaves(node) if leaf.critical]
    if not plan.marked:
        marked = [leaf for leaf in marked if leaf.kind is not FieldKind.TEXT] or marked
    return frozenset(leaf.pointer for leaf in marked)


def normal(text: str) -> str:
    """Texts that a reader holds for the same are equal: Unicode NFC, one space for any white space, no case, no full stop at
    the end."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split()).rstrip(" .")


def escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _node(
    field: Field,
    pointer: str,
    place: str,
    votes: Mapping[str, Any],
    *,
    critical: bool,
    left_out: tuple[str, ...],
) -> Node:
    """`left_out` are the workers who gave what is around the place but not the place."""
    critical = critical or field.critical
    if field.kind is FieldKind.CLOSED and not left_out:
        return _closed(field, pointer, place, votes, critical)
    nulls = {worker for worker, value in votes.items() if value is None}
    presence = None
    if left_out or nulls:
        stands = {worker: NULL if worker in nulls else GIVEN for worker in votes}
        stands.update(dict.fromkeys(left_out, ABSENT))
        presence = Leaf(
            pointer=pointer,
            field=f"{place}?",
            kind=FieldKind.CLOSED,
            votes=dict(sorted(stands.items())),
            critical=critical,
            options=(ABSENT, NULL, GIVEN),
            presence=True,
        )
        votes = {worker: value for worker, value in votes.items() if worker not in nulls}
    if not votes:
        return Node(kind=field.kind, presence=presence)
    kind = _kind(field, votes)
    match kind:
        case FieldKind.OBJECT:
            parts = _properties(field, pointer, place, votes, critical)
            return Node(kind=kind, presence=presence, parts=parts)
        case FieldKind.SET:
            return Node(kind=kind, presence=presence, parts=_set(field, pointer, place, votes, critical))
        case FieldKind.KEYED:
            parts = _keyed(field, pointer, place, votes, critical)
            return Node(kind=kind, presence=presence, parts=parts, key=field.key)
        case FieldKind.CLOSED:
            inner = _closed(field, pointer, place, votes, critical)
            return Node(kind=kind, presence=presence, leaf=inner.leaf)
        case _:
            leaf = Leaf(
                pointer=pointer,
                field=place,
                kind=kind,
                votes=dict(votes),
                critical=critical,
                tolerance=field.tolerance,
            )
            return Node(kind=kind, presence=presence, leaf=leaf)


def _closed(field: Field, pointer: str, place: str, votes: Mapping[str, Any], critical: bool) -> Node:
    given = {worker: canonical(value) for worker, value in votes.items()}
    options = field.options or ("false", "true")
    more = tuple(
        sorted(set(given.values()) - set(options))
    )  # only where the schema says less than the values
    leaf = Leaf(
        pointer=pointer,
        field=place,
        kind=FieldKind.CLOSED,
        votes=given,
        critical=critical,
        options=options + more,
    )
    return Node(kind=FieldKind.CLOSED, presence=None, leaf=leaf)


def _kind(field: Field, votes: Mapping[str, Any]) -> FieldKind:
    """As the schema says, where the values are so; else what the values have in common."""
    if field.kind is FieldKind.CLOSED:
        return FieldKind.CLOSED
    values = list(votes.values())
    if all(isinstance(value, bool) for value in values):
        return FieldKind.CLOSED
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return FieldKind.NUMBER
    if all(isinstance(value, str) for value in values):
        if any(len(value) > LONGEST_TEXT for value in values):
            return FieldKind.WHOLE
        return FieldKind.EXACT if field.kind is FieldKind.EXACT else FieldKind.TEXT
    if all(isinstance(value, dict) for value in values):
        return FieldKind.OBJECT
    if all(isinstance(value, list) for value in values):
        return _kind_of_array(field, cast("list[list[Any]]", values))
    return FieldKind.EXACT


def _kind_of_array(field: Field, values: list[list[Any]]) -> FieldKind:
    if field.kind is not FieldKind.KEYED and any(len(value) > LONGEST_LIST for value in values):
        return FieldKind.WHOLE
    if field.kind is FieldKind.SET:
        options = set(field.options)
        texts = [[canonical(member) for member in value] for value in values]
        proper = all(len(set(one)) == len(one) and options.issuperset(one) for one in texts)
        return FieldKind.SET if proper else FieldKind.LIST
    if field.kind is FieldKind.KEYED:
        return FieldKind.KEYED if all(_has_keys(value, field.key) for value in values) else FieldKind.LIST
    return FieldKind.LIST


def _has_keys(members: list[Any], key: str) -> bool:
    names = [canonical(cast("dict[str, Any]", m)[key]) for m in members if isinstance(m, dict) and key in m]
    return len(names) == len(members) == len(set(names))


def _properties(
    field: Field, pointer: str, place: str, votes: Mapping[str, Any], critical: bool
) -> dict[str, Node]:
    """In the schema's order; what it does not name follows by name."""
    seen = {name for value in votes.values() for name in value}
    names = [name for name in field.children if name in seen] + sorted(seen - set(field.children))
    parts: dict[str, Node] = {}
    for name in names:
        has = {worker: value[name] for worker, value in votes.items() if name in value}
        parts[name] = _node(
            field.children.get(name, _ANY),
            f"{pointer}/{escaped(name)}",
            f"{place}/{escaped(name)}",
            has,
            critical=critical,
            left_out=tuple(worker for worker in votes if worker not in has),
        )
    return parts


def _set(field: Field, pointer: str, place: str, votes: Mapping[str, Any], critical: bool) -> dict[str, Node]:
    chosen = {worker: {canonical(member) for member in value} for worker, value in votes.items()}
    parts: dict[str, Node] = {}
    for option in field.options:
        leaf = Leaf(
            pointer=f"{pointer}/{escaped(option)}",
            field=f"{place}/{escaped(option)}",
            kind=FieldKind.CLOSED,
            votes={worker: IN if option in has else OUT for worker, has in chosen.items()},
            critical=critical,
            options=(OUT, IN),
            presence=True,
        )
        parts[option] = Node(kind=FieldKind.CLOSED, presence=leaf)
    return parts


def _keyed(
    field: Field, pointer: str, place: str, votes: Mapping[str, Any], critical: bool
) -> dict[str, Node]:
    members = {
        worker: {canonical(member[field.key]): member for member in value} for worker, value in votes.items()
    }
    member_field = field.children["*"]
    parts: dict[str, Node] = {}
    for key in sorted({key for has in members.values() for key in has}):
        has = {worker: one[key] for worker, one in members.items() if key in one}
        parts[key] = _node(
            member_field,
            f"{pointer}/{escaped(key)}",
            f"{place}/*",
            has,
            critical=critical,
            left_out=tuple(worker for worker in votes if worker not in has),
        )
    return parts
