"""The chart of accounts: names, and which way each may go."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class AccountKind(StrEnum):
    PREFUND = "prefund"  # what an organisation has paid in and not yet committed; never below zero
    RESERVED = "reserved"  # committed to its open tasks; never below zero
    PAYABLE = "payable"  # what we owe a worker; never below zero
    CLEARING = (
        "clearing"  # payouts on their way are held for it; what settles passes through, so it is always zero
    )
    FEES = "fees"  # what the hub earned
    SPREAD = "spread"  # what the hub takes for turning dollars into satoshis
    EXCHANGE = "exchange"  # what a moving rate cost or brought between reservation and payout
    RAIL = "rail"  # money that left over a rail, less what came in: the counterpart of what its node holds
    NETWORK_FEES = "network_fees"  # what rails took on the way; a cost of the hub, never the worker's
    CAPITAL = "capital"  # where prefunds come from that no rail carried: an operator's credit, the test grant


# Network fees have no floor on purpose: a payment that has left must always be recordable.
_WITHOUT_FLOOR = frozenset(
    {AccountKind.RAIL, AccountKind.CAPITAL, AccountKind.EXCHANGE, AccountKind.NETWORK_FEES}
)
WITH_FLOOR = frozenset(AccountKind) - _WITHOUT_FLOOR


class Account(msgspec.Struct, frozen=True):
    """`id` is the row's key; `floor_msat` 0 means that credits never fall below debits."""

    id: str
    kind: AccountKind

    @property
    def floor_msat(self) -> int | None:
        return None if self.kind in _WITHOUT_FLOOR else 0


def prefund(organisation_id: str, environment: str) -> Account:
    return Account(f"{organisation_id}:{environment}:prefund", AccountKind.PREFUND)


def reserved(organisation_id: str, environment: str) -> Account:
    return Account(f"{organisation_id}:{environment}:reserved", AccountKind.RESERVED)


def payable(worker_id: str) -> Account:
    return Account(f"{worker_id}:payable", AccountKind.PAYABLE)


def clearing(environment: str) -> Account:
    return Account(f"hub:{environment}:clearing", AccountKind.CLEARING)


def fees(environment: str) -> Account:
    return Account(f"hub:{environment}:fees", AccountKind.FEES)


def spread(environment: str) -> Account:
    return Account(f"hub:{environment}:spread", AccountKind.SPREAD)


def exchange(environment: str) -> Account:
    return Account(f"hub:{environment}:exchange", AccountKind.EXCHANGE)


def network_fees(environment: str) -> Account:
    return Account(f"hub:{environment}:network_fees", AccountKind.NETWORK_FEES)


def capital(environment: str) -> Account:
    return Account(f"hub:{environment}:capital", AccountKind.CAPITAL)


def rail(name: str) -> Account:
    return Account(f"rail:{name}", AccountKind.RAIL)
