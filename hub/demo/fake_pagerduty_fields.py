"""Custom fields on the incidents of the simulated PagerDuty. Part of the account in `fake_pagerduty_world.py`."""

from __future__ import annotations

from typing import cast

from hub.demo.fake_pagerduty_things import Refusal, Thing, new_id

MAX_TEXT = 200  # characters (REST API reference, custom fields on incidents)
MAX_VALUES = 10
_KINDS: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "integer": int,
    "float": (int, float),
    "string": str,
}


class Fields:
    """The account's field definitions, and the values of each incident by field name."""

    def __init__(self) -> None:
        self.defined: list[Thing] = []
        self.held: dict[str, dict[str, object]] = {}

    def define(self, name: str, data_type: str = "string", field_type: str = "single_value") -> Thing:
        field = {
            "id": new_id(),
            "name": name,
            "display_name": name.replace("_", " ").title(),
            "type": "field",
            "data_type": data_type,
            "field_type": field_type,
        }
        self.defined.append(field)
        return field

    def values(self, incident_id: str) -> list[Thing]:
        """Every field, null where the incident has none."""
        held = self.held.get(incident_id, {})
        return [_value(field, held.get(str(field["name"]))) for field in self.defined]

    def write(self, incident_id: str, wanted: list[Thing]) -> list[Thing]:
        """All or none; the old values of those that changed. Raises Refusal."""
        found = [(self._field(one), one.get("value")) for one in wanted]
        for field, value in found:
            _check(field, value)
        held = self.held.setdefault(incident_id, {})
        changed = [
            _value(field, held.get(field["name"]))
            for field, value in found
            if held.get(field["name"]) != value
        ]
        held.update({str(field["name"]): value for field, value in found})
        return changed

    def _field(self, one: Thing) -> Thing:
        for field in self.defined:
            if one.get("id", field["id"]) == field["id"] and one.get("name", field["name"]) == field["name"]:
                return field
        raise Refusal(400, 2001, "Invalid Input Provided", f"Custom field {one.get('name')} does not exist.")


def _value(field: Thing, value: object) -> Thing:
    return {**field, "type": "field_value", "namespace": "incidents", "value": value}


def _check(field: Thing, value: object) -> None:
    several = str(field["field_type"]).startswith("multi")
    items = cast("list[object]", value) if several and isinstance(value, list) else [value]
    fits = len(items) <= MAX_VALUES and all(_fits(str(field["data_type"]), item) for item in items)
    if not fits:
        raise Refusal(
            400, 2001, "Invalid Input Provided", f"Custom field {field['name']} does not take this value."
        )


def _fits(data_type: str, value: object) -> bool:
    kind = _KINDS.get(data_type, str)
    if value is None:
        return True
    if isinstance(value, bool) and data_type != "boolean":
        return False
    return isinstance(value, kind) and not (isinstance(value, str) and len(value) > MAX_TEXT)
