"""What forms are made of: the drawn `Field`, its `Option`s and the `FieldError` a person reads. Made by
`core/forms/fields.py` and `core/forms/validate.py`, drawn by `hub/templates/form.html`."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal[
    "group",  # an object: children in order
    "list",  # an array: rows that can be added and removed
    "tuple",  # an array with fixed places
    "choice",  # oneOf/anyOf: the choosers first, then what was chosen
    "checks",  # an array of different values out of a list
    "radio",
    "select",
    "checkbox",  # a constant that the person states or leaves out
    "const",  # a constant that follows from what was chosen: shown, never typed
    "input",
    "textarea",
    "json",  # whatever no other control can draw
]


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with an answer. `pointer` is the JSON pointer of the value ("" is the whole answer),
    `message` a short sentence for the person, `keyword` the schema keyword that was not met."""

    pointer: str
    message: str
    keyword: str


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One choice. `value` is what the browser posts; `meaning` the JSON value it stands for."""

    value: str
    label: str
    meaning: object
    checked: bool = False


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One control, or a group of them.

    `name` is the posted name, `pointer` the place in the answer (they differ when a blank row above was left out),
    `id` a DOM id made from the name. `texts` are the posted or drawn texts (one, except in `checks`). `scalar` is
    what an input holds; on `json`, "string" means that plain words are taken as they are. `present`: the group was
    opened by its button; `picked`: every alternative of a choice is
    chosen, or a constant follows from one; `merges`: the JSON object written here
    goes into the group around it. `live` asks the page to post the form when this control changes, because others
    depend on it.
    """

    kind: Kind
    name: str
    pointer: str
    id: str
    label: str
    help: str = ""
    required: bool = False
    live: bool = False
    nullable: bool = False
    scalar: Literal["string", "integer", "number", "none"] = "none"
    format: str = ""
    input_type: str = "text"
    attributes: dict[str, str] = {}
    options: tuple[Option, ...] = ()
    texts: tuple[str, ...] = ()
    value: object = None
    present: bool = False
    picked: bool = False
    merges: bool = False
    min_items: int = 0
    can_add: bool = False
    can_remove: bool = False
    children: tuple[Field, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The first posted text, "" when there is none."""
        return self.texts[0] if self.texts else ""
