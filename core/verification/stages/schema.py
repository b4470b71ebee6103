"""First stage: the answer has the form that the asker wants. Judged again on the hub's side, whatever the form or the
client checked before."""

from __future__ import annotations

from core.errors import Invalid
from core.forms.validate import errors
from core.verification.stage import Evidence, Outcome, Reason, Verdict


class SchemaStage:
    name = "schema"

    def judge(self, evidence: Evidence) -> Verdict:
        """Fails with one reason for each place that does not fit. Unsure when the hub no longer takes the schema (it
        was checked when the task was created, by the rules of that day)."""
        try:
            found = errors(evidence.output_schema, evidence.output)
        except Invalid as error:
            reason = Reason(code="schema_out_of_profile", message=error.message)
            return Verdict(stage=self.name, outcome=Outcome.UNSURE, reasons=[reason])
        reasons = [
            Reason(code=f"schema_{error.keyword}", message=error.message, pointer=error.pointer)
            for error in found
        ]
        outcome = Outcome.FAIL if reasons else Outcome.PASS
        return Verdict(stage=self.name, outcome=outcome, reasons=reasons)
