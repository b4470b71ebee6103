"""Who may do what, as data. The guards in `hub/auth.py` ask for a scope, never for a role."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    WORKER = "worker"
    OPERATOR = "operator"
    VIEWER = "viewer"  # sees the operator's console and changes nothing


class Scope(StrEnum):
    ANSWER = "tasks:answer"  # take offers, answer, see the own payouts
    CONSOLE = "console:read"  # the operator's pages
    OPERATE = "console:write"  # cancel, redrive, replay, block
    REVIEW = "qa:review"  # judge answers in the QA queue
    MONEY = "payouts:approve"  # release or stop payouts, credit organisations
    ACCESS = "access:write"  # organisations, keys, people


SCOPES: dict[Role, frozenset[Scope]] = {
    Role.WORKER: frozenset({Scope.ANSWER}),
    Role.OPERATOR: frozenset({Scope.CONSOLE, Scope.OPERATE, Scope.REVIEW, Scope.MONEY, Scope.ACCESS}),
    Role.VIEWER: frozenset({Scope.CONSOLE}),
}


def may(role: str, scope: Scope) -> bool:
    """False for a role that this version does not know."""
    return role in set(Role) and scope in SCOPES[Role(role)]
