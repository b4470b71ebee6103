"""One `Field` for each kind of control, from the flat view of its place. Called by `core/forms/plan.py`."""

from __future__ import annotations

from typing import Any, cast

from core.forms import facts, naming, posted, texts
from core.forms import keywords as kw
from core.forms.model import Field, Kind, Option
from core.forms.place import Place
from core.forms.posted import Form
from core.forms.spot import MISSING, Spot

MAX_CHIPS = 7
LONG_TEXT = 160
LONG_ANSWER = 60
NONE_VALUE = "null"
STATED = "yes"


def text_field(place: Place, spot: Spot, label: str, form: Form | None) -> Field:
    """A string or a number in a line or an area of text."""
    scalar = spot.only
    form_of_text = facts.text(spot, "format") if scalar == "string" else ""
    text = _text(place, form, posted.value_name(place.name), scalar)
    input_type, text = texts.for_control(text, form_of_text)
    long = (
        facts.text(spot, kw.HINT_WIDGET) == "textarea"
        or (facts.smallest(spot, "maxLength") or 0) > LONG_TEXT
        or facts.largest(spot, "minLength") > LONG_ANSWER
        or "\n" in text
    )
    return Field(
        kind="textarea" if scalar == "string" and long and input_type == "text" else "input",
        **_common(place, spot, label),
        scalar=cast("Any", scalar),
        format=form_of_text,
        input_type=input_type,
        attributes=_attributes(spot, scalar, input_type, form_of_text),
        texts=(text,),
    )


def _attributes(spot: Spot, scalar: str, input_type: str, form_of_text: str) -> dict[str, str]:
    found = {"autocomplete": "off"}
    if scalar != "string":
        least = facts.first(spot, "minimum")
        least = facts.first(spot, "exclusiveMinimum") if least is None else least
        # The number pads of phones have no minus sign: only where none can be needed.
        if least is not None and least >= 0:
            found["inputmode"] = "numeric" if scalar == "integer" else "decimal"
    if input_type in {"datetime-local", "time"}:
        found["step"] = "1"
    if input_type in {"email", "url"} or form_of_text == "uuid":
        found |= {"autocapitalize": "off", "spellcheck": "false"}
    return found


def json_field(place: Place, label: str, form: Form | None, spot: Spot | None = None) -> Field:
    """An area for a value written as JSON."""
    name = posted.json_name(place.name)
    value = MISSING if place.value == {} and not place.pointer else place.value
    return Field(
        kind="json",
        name=name,
        pointer=place.pointer,
        id=naming.dom_id(name),
        label=label or "Answer",
        help=naming.help_text(spot) if spot else "",
        scalar="string" if not place.pointer or (spot and spot.types is None) else "none",
        required=place.required,
        live=place.live,
        nullable=bool(spot and spot.nullable),
        texts=(_written(value, form, name),),
    )


def more_field(place: Place, extra: dict[str, object], form: Form | None) -> Field:
    """An area for the properties that the schema does not name, as one JSON object."""
    name = posted.more_name(place.name)
    return Field(
        kind="json",
        name=name,
        pointer=place.pointer,
        id=naming.dom_id(name),
        label="Other fields",
        merges=True,
        texts=(_written(extra or MISSING, form, name),),
    )


def _written(value: object, form: Form | None, name: str) -> str:
    if form is not None:
        return posted.first(form, name)
    return "" if value is MISSING else texts.of_value(value, "json")


def listed_field(place: Place, spot: Spot, label: str, values: list[object], form: Form | None) -> Field:
    """One of several values; a single one is a constant."""
    if spot.nullable and None not in values:
        values = [*values, None]
    if len(values) == 1:
        return _constant(place, spot, label, values[0], form)
    options = _options(place, spot, values, form)
    widget = facts.text(spot, kw.HINT_WIDGET)
    many = len(values) > MAX_CHIPS
    kind: Kind = "select" if widget == "select" or (many and widget != "radio") else "radio"
    posted_texts = form.get(posted.value_name(place.name), []) if form is not None else []
    return Field(
        kind=kind, **_common(place, spot, label), options=tuple(options), texts=tuple(posted_texts[:1])
    )


def _constant(place: Place, spot: Spot, label: str, value: object, form: Form | None) -> Field:
    """A constant follows from a chosen branch, or must be there; otherwise, and for a consent (`const: true`), the
    person states it."""
    chosen = any(part.chosen for part in spot.parts) or place.chosen
    follows = chosen or (place.required and not isinstance(value, bool))
    if form is not None:
        stated = STATED in form.get(posted.value_name(place.name), [])
    else:
        stated = place.value is not MISSING and facts.canonical(place.value) == facts.canonical(value)
    return Field(
        kind="const" if follows else "checkbox",
        **_common(place, spot, label),
        picked=chosen,
        value=value,
        options=(
            Option(
                value=STATED, label=_label_of(value, facts.enum_titles(spot)), meaning=value, checked=stated
            ),
        ),
    )


def checks_field(
    place: Place, spot: Spot, label: str, item: Spot, values: list[object], form: Form | None
) -> Field:
    """Any of several values, each at most once."""
    return Field(
        kind="checks",
        **_common(place, spot, label),
        options=tuple(_options(place, item, values, form)),
        min_items=facts.largest(spot, "minItems"),
    )


def _options(place: Place, spot: Spot, values: list[object], form: Form | None) -> list[Option]:
    """Plain words are posted as they are; anything else, or a set with a word that means nothing, as JSON."""
    plain = all(isinstance(value, str) and value.strip() == value != NONE_VALUE and value for value in values)
    plain = plain and not any("\n" in str(value) or "\r" in str(value) for value in values)
    titles = facts.enum_titles(spot)
    if form is not None:
        ticked = set(form.get(posted.value_name(place.name), []))
    else:
        drawn = [] if place.value is MISSING else [place.value, *facts.as_array(place.value)]
        ticked = {_posted(value, plain=plain) for value in drawn}
    options: list[Option] = []
    for value in values:
        text = _posted(value, plain=plain)
        options.append(
            Option(value=text, label=_label_of(value, titles), meaning=value, checked=text in ticked)
        )
    return options


def _posted(value: object, *, plain: bool) -> str:
    return value if plain and isinstance(value, str) else facts.canonical(value)


def _label_of(value: object, titles: dict[str, str]) -> str:
    if title := titles.get(facts.canonical(value)):
        return title
    match value:
        case bool():
            return "Yes" if value else "No"
        case None:
            return "None"
        case str():
            return value.strip() or "(empty text)"
        case _:
            return texts.of_value(value, "string")


def chooser(place: Place, spot: Spot, number: int, options: list[Option], form: Form | None) -> Field:
    """The question which of several alternatives the answer takes."""
    name = posted.branch_name(place.name, number)
    if spot.nullable and number == 0:
        nothing = posted.first(form, name) == NONE_VALUE if form is not None else place.value is None
        options = [*options, Option(value=NONE_VALUE, label="None", meaning=None, checked=nothing)]
    return Field(
        kind="radio" if len(options) <= MAX_CHIPS else "select",
        name=name,
        pointer=place.pointer,
        id=naming.dom_id(name),
        label="Kind of answer" if not place.pointer else "Kind",
        required=place.required,
        live=True,
        options=tuple(options),
    )


def choice_field(
    place: Place, spot: Spot, label: str, choosers: tuple[Field, ...], body: Field | None
) -> Field:
    """The alternatives first, then what was chosen."""
    return Field(
        kind="choice",
        **_common(place, spot, label, prefix="_choice:"),
        children=(*choosers, body) if body else choosers,
        picked=body is not None and all(any(option.checked for option in each.options) for each in choosers),
    )


def group_field(
    place: Place,
    spot: Spot,
    label: str,
    children: tuple[Field, ...],
    *,
    closed: bool = False,
    opened: bool = False,
) -> Field:
    return Field(
        kind="group",
        **_common(place, spot, label),
        children=children,
        present=opened,
        can_add=closed,
        can_remove=opened,
    )


def list_field(
    place: Place, spot: Spot, label: str, rows: tuple[Field, ...], *, can_add: bool, least: int
) -> Field:
    return Field(kind="list", **_common(place, spot, label), children=rows, can_add=can_add, min_items=least)


def tuple_field(
    place: Place, spot: Spot, label: str, places: tuple[Field, ...], *, can_add: bool, least: int
) -> Field:
    return Field(
        kind="tuple", **_common(place, spot, label), children=places, can_add=can_add, min_items=least
    )


def _common(place: Place, spot: Spot, label: str, prefix: str = "") -> dict[str, Any]:
    name = posted.value_name(place.name)
    return {
        "name": name,
        "pointer": place.pointer,
        "id": naming.dom_id(prefix + name),
        "label": label,
        "help": naming.help_text(spot),
        "required": place.required,
        "live": place.live,
        "nullable": spot.nullable,
    }


def _text(place: Place, form: Form | None, name: str, scalar: str) -> str:
    if form is not None:
        return posted.first(form, name)
    return "" if place.value is MISSING or place.value is None else texts.of_value(place.value, scalar)
