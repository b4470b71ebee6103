"""What one drawing, reading or judging may cost, whoever wrote the schema and the answer. Made by
`core/forms/fields.py` and `core/forms/validate.py`, spent by `core/forms/spot.py` and `plan.py`."""

from __future__ import annotations

from core.forms import cost
from core.forms.compiled import CompiledSchema
from core.forms.measure import MAX_TEXT, measure

FIELDS = 600
PARTS = 5_000
OPTIONS = 8_000
# jsonschema-rs needs 20 to 50 ns for one evaluation.
EVALUATIONS = 2_000_000


class Budget:
    """Counts down; once a sum is spent the answer is the cheap one (a JSON field, a condition that does not hold)."""

    def __init__(self, *, evaluations: int = EVALUATIONS):
        self._fields = FIELDS
        self._parts = PARTS
        self._options = OPTIONS
        self._evaluations = evaluations

    def field(self) -> bool:
        """Whether one more field may be drawn."""
        self._fields -= 1
        return self._fields >= 0

    def parts(self, count: int = 1) -> bool:
        """Whether so many more schemas may be laid flat."""
        self._parts -= count
        return self._parts >= 0

    def options(self, count: int) -> bool:
        """Whether so many more choices may be listed: one long enum, referred to 200 times, is a page of 23 MB."""
        self._options -= count
        return self._options >= 0

    @property
    def seen_all(self) -> bool:
        """Whether every schema so far was laid flat; if not, what is known of a place may be half of it."""
        return self._parts >= 0

    def fits(self, doc: CompiledSchema, location: str, value: object) -> bool:
        """Whether `value` is valid against the subschema at `location`; False also when it is too dear to know."""
        sizes = measure(value, max_text=MAX_TEXT)
        if not isinstance(sizes, list):
            return False
        self._evaluations -= cost.bound(doc.visits[location], sizes) + sum(sizes)
        return self._evaluations >= 0 and doc.validator_at(location).is_valid(value)
