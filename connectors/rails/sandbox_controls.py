"""Levers and eyes on a sandbox file for tests and the operator's command line, in any process: script faults, release
what hangs, read the history. Blocking; nothing here is used while paying."""

from __future__ import annotations

from pathlib import Path

from connectors.rails import sandbox_book
from connectors.rails.sandbox_book import Fault, PaymentRecord, Script
from connectors.rails.sandbox_file import SandboxFile
from core import clock
from core.payouts.rail import Outcome


class SandboxControls:
    def __init__(self, path: Path):
        self._file = SandboxFile(path)

    def add_fault(self, kind: Fault, *, seconds: float = 0.0, times: int = 1) -> None:
        """Queue a fault for the next `times` payments (or look-ups). `seconds` matters to DELAY and SETTLE_LATER."""
        with self._file.write() as db:
            for _ in range(times):
                sandbox_book.add_fault(db, Script(kind=kind, after_ms=round(seconds * 1000)))

    def clear_faults(self) -> None:
        with self._file.write() as db:
            db.execute("DELETE FROM faults")

    def release(self, payment_hash: str | None = None, *, settle: bool = True) -> list[str]:
        """Let payments in flight (one, or all of them) settle or fail now; the hashes that were decided."""
        decided: list[str] = []
        now_ms = clock.now_ms()
        with self._file.write() as db:
            for record in sandbox_book.history(db):
                if record.state is not Outcome.IN_FLIGHT or payment_hash not in (None, record.payment_hash):
                    continue
                if settle:
                    sandbox_book.settle(db, record.payment_hash, now_ms)
                else:
                    sandbox_book.fail(db, record.payment_hash, "released to fail")
                decided.append(record.payment_hash)
        return decided

    def pay_ours(self, bolt11: str, *, amount_msat: int | None = None) -> int | None:
        """Pay an invoice of the rail's own, as a customer would: its amount or another one, in time or late. What has
        arrived in all, in msat; None when the sandbox did not make this invoice."""
        with self._file.write() as db:
            return sandbox_book.put_receipt(db, bolt11.strip(), amount_msat, clock.now_ms())

    def payments(self) -> list[PaymentRecord]:
        """The whole history, oldest first."""
        with self._file.write() as db:
            sandbox_book.decide_due(db, clock.now_ms())
            return sandbox_book.history(db)
