"""The decisions on the exchange rate, each with the samples behind it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.base import Base, DecimalText, JsonText, UtcDateTime


class RateRow(Base):
    """One look at all sources. `usd_per_btc` None: they did not agree, `refusal` says why. `samples` is an `Evidence` of
    `records.py`."""

    __tablename__ = "rates"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    usd_per_btc: Mapped[Decimal | None] = mapped_column(DecimalText)
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    samples: Mapped[dict[str, Any]] = mapped_column(JsonText)
    refusal: Mapped[str | None] = mapped_column(Text)
