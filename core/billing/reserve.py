"""Which tasks an organisation's balance pays for, and the transfer that commits the money to one. Pure; used by the
creation of tasks and by `fund_waiting`."""

from __future__ import annotations

from core.ledger import accounts
from core.ledger.post import Transfer


def fund(balance_msat: int, wanted: list[int], *, others_wait: bool = False) -> list[bool]:
    """For each wanted amount (msat, in the order of asking) whether it is funded now.

    Strictly in order: the first that does not fit stops all after it, although a smaller one would fit, and nobody
    is funded while older tasks wait (`others_wait`). Else a dear task would wait for ever behind cheap ones."""
    funded: list[bool] = []
    left_msat, open_ = balance_msat, not others_wait
    for amount_msat in wanted:
        open_ = open_ and amount_msat <= left_msat
        left_msat -= amount_msat if open_ else 0
        funded.append(open_)
    return funded


def reserve(task_id: str, organisation_id: str, environment: str, amount_msat: int) -> Transfer:
    """prefund -> reserved."""
    return Transfer(
        id=f"task:{task_id}:reserve",
        debit=accounts.prefund(organisation_id, environment),
        credit=accounts.reserved(organisation_id, environment),
        amount_msat=amount_msat,
        kind="reserve",
        subject=task_id,
    )
