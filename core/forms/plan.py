"""The tree of fields for one answer schema, with the texts from a posted form or from an answer so far.
Called by `core/forms/fields.py`, which draws the tree or collects an answer from it."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from core.forms import controls, facts, naming, pointers, posted, spot
from core.forms.budget import Budget
from core.forms.compiled import CompiledSchema
from core.forms.model import Field, Option
from core.forms.place import Place
from core.forms.posted import Form
from core.forms.spot import MISSING, Branch, Spot

MAX_LEVELS = 10  # of drawn groups; deeper parts become JSON
MAX_FIRST_ROWS = 20


class Planner:
    """One drawing. `form` None draws the values of `data`; otherwise texts come from `form` and `data` (what was
    read of it so far) only decides the conditions."""

    def __init__(self, doc: CompiledSchema, form: Form | None):
        self.doc = doc
        self.form = form
        self.filled = posted.filled_names(form) if form is not None else frozenset[str]()
        self.budget = Budget()

    def root(self, data: object) -> Field:
        place = Place(locations=("",), name="", pointer="", value=data, label="", required=True)
        return self.field(place) or controls.json_field(place, "", self.form)

    def field(self, place: Place) -> Field | None:
        """The field of one place; None where the schema lets nothing stand."""
        flat = spot.lay_flat(self.doc, place.locations, place.value, self.budget, self._picker(place))
        if flat.impossible:
            return None
        label = naming.label(flat, place.label, place.number)
        if not self._affordable(flat) or place.level > MAX_LEVELS or self._was_json(place):
            return controls.json_field(place, label, self.form, flat)
        if not flat.choices:
            return self.body(place, flat, label)
        choosers = tuple(self._chooser(place, choice, flat) for choice in flat.choices)
        waits = any(choice.picked is None for choice in flat.choices) and flat.only != "object"
        body = None if waits else self.body(place, flat, label)
        return controls.choice_field(place, flat, label, choosers, body)

    def body(self, place: Place, flat: Spot, label: str) -> Field:
        """The control or group of a place whose alternatives are settled."""
        values = facts.listed(flat)
        if values is not None and values:
            return controls.listed_field(place, flat, label, values, self.form)
        if flat.only == "boolean":
            return controls.listed_field(place, flat, label, [True, False], self.form)
        if flat.only == "null":
            return controls.listed_field(place, flat, label, [None], self.form)
        if flat.only == "object":
            return self._group(place, flat, label)
        if flat.only == "array":
            return self._array(place, flat, label)
        if flat.only in {"string", "integer", "number"}:
            return controls.text_field(place, flat, label, self.form)
        return controls.json_field(place, label, self.form, flat)

    # --- objects

    def _group(self, place: Place, flat: Spot, label: str) -> Field:
        value = facts.as_object(place.value)
        required = facts.required(flat, value)
        names = facts.property_names(flat, required)
        if not names and not flat.choices:
            return controls.json_field(place, label, self.form, flat)
        seen = frozenset(part.location for part in flat.parts)
        if self._closed(place, seen):
            return controls.group_field(place, flat, label, (), closed=True)
        children: list[Field] = []
        for name in names:
            child = Place(
                locations=facts.of_property(self.doc, flat, name),
                name=pointers.join(place.name, name),
                pointer=pointers.join(place.pointer, name),
                value=value.get(name, MISSING),
                label=naming.of_property(name),
                required=name in required,
                live=place.live or name in flat.depends or spot.ANY_PROPERTY in flat.depends,
                chosen=any(part.chosen and name in part.schema.get("properties", {}) for part in flat.parts),
                level=place.level + 1,
                above=place.above | seen,
            )
            if (field := self.field(child)) is not None:
                children.append(field)
        if any(self._open_ended(part.schema) for part in flat.parts):
            extra = {name: held for name, held in value.items() if name not in names}
            children.append(controls.more_field(place, extra, self.form))
        opened = place.above & seen and not place.required
        return controls.group_field(
            place, flat, label, tuple(children), opened=bool(opened) and not place.number
        )

    def _closed(self, place: Place, seen: frozenset[str]) -> bool:
        """A group inside itself is drawn when it was opened or holds something, or it would never end."""
        if not place.above & seen or place.number:
            return False
        if self.form is None:
            return place.value is MISSING or place.value is None
        return posted.open_name(place.name) not in self.form and place.name not in self.filled

    @staticmethod
    def _open_ended(schema: dict[str, Any]) -> bool:
        """Further properties are invited, not merely let in by default."""
        return schema.get("additionalProperties", False) is not False or "patternProperties" in schema

    # --- arrays

    def _array(self, place: Place, flat: Spot, label: str) -> Field:
        fixed = facts.fixed_places(flat)
        item = facts.of_item(flat, fixed)
        if fixed:
            return self._tuple(place, flat, label, fixed)
        if not item:
            return controls.json_field(place, label, self.form, flat)
        inner = spot.lay_flat(self.doc, item, MISSING, self.budget)
        if not self.budget.options(facts.listed_size(inner)):
            return controls.json_field(place, label, self.form, flat)
        values = facts.listed(inner)
        if values and bool(facts.first(flat, "uniqueItems")) and None not in values:
            return controls.checks_field(place, flat, label, inner, values, self.form)
        if inner.impossible:
            return controls.json_field(place, label, self.form, flat)
        return self._list(place, flat, label, item)

    def _list(self, place: Place, flat: Spot, label: str, item: tuple[str, ...]) -> Field:
        value = facts.as_array(place.value)
        least = facts.largest(flat, "minItems")
        most = facts.smallest(flat, "maxItems")
        recursive = bool(place.above & frozenset(part.location for part in flat.parts))
        count = len(value)
        if self.form is not None and (drawn := posted.rows(self.form, place.name)) is not None:
            count = drawn
        elif not count and place.required and not recursive:
            count = min(max(least, 1), MAX_FIRST_ROWS)
        if count > posted.MAX_ROWS:
            return controls.json_field(place, label, self.form, flat)
        rows: list[Field] = []
        index = 0  # in the answer: blank rows are left out of it
        for number in range(count):
            name = pointers.join(place.name, number)
            child = Place(
                locations=item,
                name=name,
                pointer=pointers.join(place.pointer, index),
                value=value[index] if index < len(value) else MISSING,
                label=f"{label} {number + 1}",
                live=place.live,
                required=False,
                number=number + 1,
                level=place.level + 1,
                above=place.above | frozenset(part.location for part in flat.parts),
            )
            if (row := self.field(child)) is not None:
                rows.append(msgspec.structs.replace(row, can_remove=True))
            index += self.form is None or name in self.filled
        can_add = count < posted.MAX_ROWS if most is None else count < min(most, posted.MAX_ROWS)
        return controls.list_field(place, flat, label, tuple(rows), can_add=can_add, least=least)

    def _tuple(self, place: Place, flat: Spot, label: str, fixed: int) -> Field:
        value = facts.as_array(place.value)
        least = facts.largest(flat, "minItems")
        most = facts.smallest(flat, "maxItems")
        drawn = posted.rows(self.form, place.name) if self.form is not None else None
        room = posted.MAX_ROWS if most is None else min(most, posted.MAX_ROWS)
        count = min(max(fixed, len(value) if drawn is None else drawn), room)
        places: list[Field] = []
        for number in range(count):
            child = Place(
                locations=facts.of_item(flat, number),
                name=pointers.join(place.name, number),
                pointer=pointers.join(place.pointer, number),
                value=value[number] if number < len(value) else MISSING,
                label=f"{label} {number + 1}",
                live=place.live,
                required=place.required and number < least,
                level=place.level + 1,
                above=place.above | frozenset(part.location for part in flat.parts),
            )
            if (field := self.field(child)) is not None:
                places.append(msgspec.structs.replace(field, can_remove=number >= fixed))
        rest = facts.of_item(flat, fixed)
        more = (
            bool(rest) and count < room and not spot.lay_flat(self.doc, rest, MISSING, self.budget).impossible
        )
        return controls.tuple_field(place, flat, label, tuple(places), can_add=more, least=least)

    # --- alternatives

    def _picker(self, place: Place) -> spot.Pick:
        if self.form is None:
            return lambda number, branches: self._pick_by_value(place.value, branches)
        form = self.form

        def chosen(number: int, branches: tuple[Branch, ...]) -> int | None:
            text = posted.first(form, posted.branch_name(place.name, number))
            return next((index for index in range(len(branches)) if text == str(index)), None)

        return chosen

    def _pick_by_value(self, value: object, branches: tuple[Branch, ...]) -> int | None:
        """The alternative an answer was given in: of those it fits, the one that speaks of most of its names."""
        if value is MISSING or value == {}:
            return None
        if branches[0].type is not None:
            own = facts.type_of(value)
            names = {own, "number"} if own == "integer" else {own}
            return next((index for index, branch in enumerate(branches) if branch.type in names), None)
        fitting = [
            index
            for index, branch in enumerate(branches)
            if self.budget.fits(self.doc, branch.location, value)
        ]
        if not isinstance(value, dict):
            return fitting[0] if fitting else None
        held = cast("dict[str, object]", value)
        shares = {index: self._shared(branches[index], held) for index in fitting or range(len(branches))}
        best = max(shares, key=lambda index: shares[index])
        return best if shares[best] else None

    def _shared(self, branch: Branch, value: dict[str, object]) -> int:
        """How many names of the value the branch declares; a differing constant rules the branch out."""
        flat = spot.lay_flat(self.doc, [branch.location], value, self.budget)
        shared = 0
        for name, held in value.items():
            places = [
                part.schema["properties"][name]
                for part in flat.parts
                if name in part.schema.get("properties", {})
            ]
            shared += bool(places)
            for schema in places:
                if isinstance(schema, dict) and "const" in schema and schema["const"] != held:
                    return 0
        return shared

    def _chooser(self, place: Place, choice: spot.Choice, flat: Spot) -> Field:
        options: list[Option] = []
        for index, branch in enumerate(choice.branches):
            label = naming.of_type(branch.type) if branch.type else self._branch_label(branch, index)
            options.append(
                Option(value=str(index), label=label, meaning=index, checked=index == choice.picked)
            )
        return controls.chooser(place, flat, choice.number, options, self.form)

    def _branch_label(self, branch: Branch, index: int) -> str:
        flat = spot.lay_flat(self.doc, [branch.location], MISSING, self.budget)
        return naming.of_branch(self.doc, branch.location, flat, index)

    def _affordable(self, flat: Spot) -> bool:
        options = facts.listed_size(flat) + sum(len(choice.branches) for choice in flat.choices)
        return self.budget.field() and self.budget.options(options) and self.budget.seen_all

    def _was_json(self, place: Place) -> bool:
        """The page drew JSON here, perhaps because there was too much to draw."""
        return self.form is not None and posted.json_name(place.name) in self.form


def plan(doc: CompiledSchema, data: object, form: Form | None) -> Field:
    """The field tree of the whole answer."""
    return Planner(doc, form).root(data)
