"""Every failure the hub speaks of, as one tree. Raised everywhere; turned into HTTP answers in `hub/problems.py`
and into retries or dead letters in `hub/jobs/run.py`."""

from __future__ import annotations


class HubError(Exception):
    """A failure with a stable `code`, a sentence for a person and facts for a machine.

    `field_errors` maps a field's path (`payout.maxAmount`) to what is wrong there and how to mend it.
    """

    def __init__(
        self, code: str, message: str, *, field_errors: dict[str, str] | None = None, **facts: object
    ):
        super().__init__(message)
        self.code = code
        self.message = message
        self.field_errors = field_errors or {}
        self.facts = facts


class Invalid(HubError):
    """The request was understood and cannot be accepted (bad value, unknown task type, schema out of profile)."""


class Malformed(HubError):
    """The bytes are not what the route takes (broken JSON, wrong types, missing field)."""


class Unauthenticated(HubError):
    """Nobody we know: missing, wrong, expired or revoked credentials."""


class Forbidden(HubError):
    """Known, but not allowed to do this."""


class NotFound(HubError):
    """No such thing for this caller; another tenant's thing looks the same."""


class Conflict(HubError):
    """The thing is not in a state that allows this (already taken, already ended, key in use)."""


class LimitExceeded(HubError):
    """Too many requests; `retry_after` is in seconds."""

    def __init__(self, code: str, message: str, *, retry_after: int, **facts: object):
        super().__init__(code, message)
        self.facts = facts
        self.retry_after = retry_after


class Unavailable(HubError):
    """A part of ours is away (database, queue); try again, nothing was done."""


class Retryable(HubError):
    """The other side may take it later. `after` is in seconds, None leaves the pace to the job's own schedule."""

    def __init__(self, code: str, message: str, *, after: float | None = None, **facts: object):
        super().__init__(code, message)
        self.facts = facts
        self.after = after


class Rejected(HubError):
    """The other side said no, and asking again will not change that: a dead letter, with the reason."""


class Uncertain(HubError):
    """We sent and do not know whether it arrived: look first, never send blindly again."""


class Misconfigured(HubError):
    """The operator's files or secrets are wrong; the message names file, path and fix."""


class LeaseLost(HubError):
    """Somebody else owns this job now; whatever this process was about to write must not be written."""
