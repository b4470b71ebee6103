"""The answer that a planned tree of fields holds, and what in it could not be read. Called by
`core/forms/fields.py` with a tree made from a posted form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from core.forms import controls, facts, pointers, texts
from core.forms.model import Field, FieldError
from core.forms.spot import MISSING
from core.forms.texts import UnreadableError

# Where plain words go when the schema takes any object.
WORDS_OF_ANY_OBJECT = "answer"


class Got(msgspec.Struct, frozen=True, kw_only=True):
    """What a field holds. `filled`: the person did something there (constants and empty groups are not that)."""

    value: object = MISSING
    filled: bool = False


NOTHING = Got()


def collect(root: Field) -> tuple[object, list[FieldError]]:
    """(the answer, what was unreadable). An answer with nothing in it is `{}`."""
    collector = _Collector()
    got = collector.of(root)
    return ({} if got.value is MISSING else got.value), collector.errors


class _Collector:
    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        self._reads: dict[str, Callable[[Field], Got]] = {
            "group": self._group,
            "list": self._list,
            "tuple": self._tuple,
            "choice": self._choice,
            "checks": self._checks,
            "radio": self._option,
            "select": self._option,
            "checkbox": self._checkbox,
            "const": lambda field: Got(value=field.value),
            "input": self._text,
            "textarea": self._text,
            "json": self._json,
        }

    def of(self, field: Field) -> Got:
        return self._reads[field.kind](field)

    def _unreadable(self, field: Field, message: str, keyword: str) -> Got:
        self.errors.append(FieldError(pointer=field.pointer, message=message, keyword=keyword))
        return Got(filled=True)

    @staticmethod
    def _blank(field: Field) -> Got:
        """Nothing typed: null where the answer must say something and may say that, else missing."""
        return Got(value=None) if field.required and field.nullable else NOTHING

    def _text(self, field: Field) -> Got:
        text = field.text
        if not text.strip():
            return self._blank(field)
        try:
            match field.scalar:
                case "integer":
                    return Got(value=texts.to_integer(text), filled=True)
                case "number":
                    return Got(value=texts.to_number(text), filled=True)
                case _:
                    return Got(value=texts.to_string(text, field.format), filled=True)
        except UnreadableError as error:
            return self._unreadable(field, str(error), "type")

    def _json(self, field: Field) -> Got:
        if not field.text.strip():
            whole = not field.pointer and not field.merges
            return self._unreadable(field, "Required", "required") if whole else self._blank(field)
        try:
            value = (
                texts.to_json_or_words(field.text) if field.scalar == "string" else texts.to_json(field.text)
            )
        except UnreadableError as error:
            return self._unreadable(field, str(error), "type")
        kind = facts.type_of(value)
        if field.merges and kind != "object":
            message = 'Other fields must be a JSON object, such as {"name": "value"}'
            return self._unreadable(field, message, "type")
        if not field.pointer and kind == "string":
            value = {WORDS_OF_ANY_OBJECT: value}  # nobody asked for a shape, and people do not write JSON
        return Got(value=value, filled=True)

    def _option(self, field: Field) -> Got:
        text = field.text
        if not text:
            return NOTHING
        for option in field.options:
            if option.value == text:
                return Got(value=option.meaning, filled=True)
        return self._unreadable(field, "Choose one of the answers shown", "enum")

    def _checkbox(self, field: Field) -> Got:
        ticked = field.options[0].checked
        return Got(value=field.value, filled=True) if ticked else NOTHING

    def _checks(self, field: Field) -> Got:
        values = [option.meaning for option in field.options if option.checked]
        if values:
            return Got(value=values, filled=True)
        return Got(value=[]) if field.required else NOTHING

    def _choice(self, field: Field) -> Got:
        choosers = [child for child in field.children if child.name.startswith("_branch")]
        for chooser in choosers:
            if any(option.checked and option.value == controls.NONE_VALUE for option in chooser.options):
                return Got(value=None, filled=True)
        bodies = [child for child in field.children if not child.name.startswith("_branch")]
        if not bodies:
            return NOTHING
        picked = any(option.checked for chooser in choosers for option in chooser.options)
        body = bodies[0]
        got = self.of(
            msgspec.structs.replace(body, present=True) if picked and body.kind == "group" else body
        )
        return Got(value=got.value, filled=got.filled or picked)

    def _group(self, field: Field) -> Got:
        if field.can_add:  # closed
            return NOTHING
        result: dict[str, object] = {}
        constants: dict[str, object] = {}
        further: dict[str, object] = {}
        filled = False
        for child in field.children:
            got = self.of(child)
            filled = filled or got.filled
            if got.value is MISSING:
                continue
            if child.merges:
                further = facts.as_object(got.value)
            elif child.kind == "const":
                constants[pointers.last(child.pointer)] = got.value
            else:
                result[pointers.last(child.pointer)] = got.value
        stands = filled or field.present
        if not stands and not field.required:
            return NOTHING
        if not stands and field.nullable:
            return Got(value=None)
        own = {**constants, **result}
        ordered = [pointers.last(child.pointer) for child in field.children if not child.merges]
        value = {name: own[name] for name in ordered if name in own}
        return Got(value=further | value, filled=filled)

    def _list(self, field: Field) -> Got:
        values: list[object] = []
        for row, got in self._rows(field.children):
            # A row's pointer is its place in the answer; blank rows share theirs with the next one.
            if got.filled:
                values.append(self._held(row, got))
        if values or field.required:
            return Got(value=values, filled=bool(values))
        return NOTHING

    def _tuple(self, field: Field) -> Got:
        gots = list(self._rows(field.children))
        while gots and not gots[-1][1].filled and (not field.required or len(gots) > field.min_items):
            gots.pop()
        if not any(got.filled for _, got in gots) and not field.required:
            return NOTHING
        values: list[object] = []
        for row, got in gots:
            if got.value is MISSING and not got.filled:
                self._unreadable(row, "Required", "required")
            values.append(self._held(row, got))
        return Got(value=values, filled=any(got.filled for _, got in gots))

    def _rows(self, rows: Iterable[Field]) -> Iterable[tuple[Field, Got]]:
        return ((row, self.of(row)) for row in rows)

    @staticmethod
    def _held(row: Field, got: Got) -> Any:
        """An unreadable row keeps its place as null; its error was told."""
        return None if got.value is MISSING else got.value
