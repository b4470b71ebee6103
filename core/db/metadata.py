"""Imports every table, so that Alembic and the drift test see the whole schema."""

from __future__ import annotations

from core.access import tables as access
from core.audit import tables as audit
from core.bank import tables as bank
from core.billing import tables as billing
from core.callbacks import tables as callbacks
from core.db.base import Base
from core.intake import tables as intake
from core.ledger import tables as ledger
from core.outbox import tables as outbox
from core.payouts import tables as payouts
from core.rates import tables as rates
from core.receipts import tables as receipts
from core.repairs import tables as repairs
from core.replies import tables as replies
from core.routing import tables as routing
from core.tasks import tables as tasks
from core.verification import tables as verification
from core.verification.anomaly import tables as anomaly
from core.workers import tables as workers

TABLES = (
    access,
    anomaly,
    audit,
    bank,
    billing,
    callbacks,
    intake,
    ledger,
    outbox,
    payouts,
    rates,
    receipts,
    repairs,
    replies,
    routing,
    tasks,
    verification,
    workers,
)
metadata = Base.metadata
