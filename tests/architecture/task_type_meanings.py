"""What each setting of a task type means: the part of `config_meanings.py` for `config/task_types/*.yaml`."""

from __future__ import annotations

TASK_TYPES: dict[str, str] = {
    # task_types/*.yaml
    "TaskType.name": "`taskType` of the API; the file is called the same",
    "TaskType.title": "what the worker reads first, when the task brings no title",
    "TaskType.instructions": "what the worker reads above the question; plain text",
    "TaskType.language": "language in which its people must work, such as `de` or `pt-br`, unless the request says another",
    "TaskType.skills": "skills that a worker needs, when the request names none",
    "TaskType.output_schema": "JSON Schema of the answer (the profile of `core/forms/profile.py`); none: any object",
    "TaskType.risk_tier": "risk of a task that does not say",
    "TaskType.sla_seconds": "seconds in which an answer is wanted, for a task that does not say (30 to 86,400)",
    "TaskType.payout": "what a task pays that does not say; none: the request must say",
    "TaskType.stages": "verification stages in their order (`core/verification/stages`)",
    "TaskType.rules": "what the stage `rules` checks",
    "TaskType.answers_limit": "refused answers after which the task fails",
    "TaskType.offer_seconds": "seconds in which a worker accepts an offer before it goes to the next",
    "TaskType.max_reroutes": "how often the task is taken back at 100 % of its SLA and routed anew",
    "TaskType.hard_stop_factor": "the task expires after so many times its SLA",
    "Price.currency": "currency of `max_amount`",
    "Price.max_amount": "most that a worker gets, in `currency`",
    "Rule.name": "name of the rule in the verdict",
    "Rule.expect": "JMESPath over {payload, output, task}; the answer passes when it gives true",
    "Rule.message": "what the worker reads when it does not",
    "Rule.severity": "`fail`: the answer is refused; `unsure`: it is not given out before others agree or a reviewer looked",
    "TaskType.examples": "answers with what their checks shall say; `hub task-types test` runs them",
    "Example.name": "what the example shows",
    "Example.output": "the answer",
    "Example.expect": "what schema and rules shall say together: `pass`, `fail` or `unsure`",
    "Example.reasons": "codes of the reasons, in any order (`schema_required`, `rule_<name>`); none for `pass`",
    "Example.payload": "the payload that it answers",
    "Example.task": "what rules read of `task`",
    "Example.schema": "answer schema in place of the type's own",
}
