"""The sandbox rail: TEST MONEY with the semantics of a real node. It pays truly signed regtest invoices with real
preimages, records a payment before it sends, refuses a hash twice, and can be told to misbehave (`sandbox_controls.py`).
Registered in `connectors/rails/__init__.py`; the default rail of a hub without a node."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from connectors.rails import bolt11, sandbox_book, sandbox_wallets
from connectors.rails.incoming import own_invoice, trouble
from connectors.rails.sandbox_book import OWN_WALLET, Fault, PaymentRecord, Script
from connectors.rails.sandbox_file import SandboxFile
from core import clock
from core.errors import Misconfigured
from core.payouts.rail import Capabilities, Invoice, Outcome, PaymentResult, Recorded

NETWORK = "bcrt"
FILE_NAME = "sandbox-rail.sqlite3"
POLL_S = 0.02

AnswerT = TypeVar("AnswerT")


class SandboxOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `options` of the rail's block in the configuration. `answer_timeout` in seconds: how long `pay` waits for a
    payment that hangs before it answers IN_FLIGHT. Fees are base + amount × ppm / 1,000,000, rounded down."""

    funds_msat: int = 1_000_000_000_000  # ten bitcoin of play money
    fee_base_msat: int = 0
    fee_ppm: int = 0
    answer_timeout: float = 20.0


class SandboxRail:
    """Implements `core.payouts.rail.Rail`, `Funded`, `Recording` and `Receiving`. Safe to use from several threads and processes over one file."""

    name = "sandbox"
    capabilities = Capabilities(
        real_money=False, proves_by_preimage=True, network=NETWORK, exact_balance=True
    )

    def __init__(self, path: Path, options: SandboxOptions | None = None):
        self._file = SandboxFile(path)
        self._options = options or SandboxOptions()

    @classmethod
    def from_options(cls, data_dir: Path, options: Mapping[str, object]) -> Self:
        """Raises Misconfigured for an option that it does not know or cannot use."""
        try:
            return cls(data_dir / FILE_NAME, msgspec.convert(options, SandboxOptions, strict=False))
        except msgspec.ValidationError as error:
            raise Misconfigured("rail_options", f"the sandbox rail's options are wrong: {error}") from error
        except (OSError, sqlite3.Error) as error:
            path = data_dir / FILE_NAME
            raise Misconfigured(
                "rail_file", f"the sandbox rail cannot use its file {path}: {error}"
            ) from error

    @property
    def node_id(self) -> str:
        """The public key that signs the sandbox's invoices, in hex."""
        return self._file.node_id

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        """See `Rail.pay`. A hash that is settled or in flight is not paid again: UNKNOWN, so that the caller looks up."""
        try:
            begun = await asyncio.to_thread(self._begin, invoice, max_fee_msat)
            if isinstance(begun, PaymentResult):
                return begun
            return await self._answer(invoice.payment_hash, begun)
        except sqlite3.Error as error:
            return _unknown(f"the sandbox's file did not answer: {error}")

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        """See `Rail.look_up`. None is certain: a payment is on disk before it is sent."""
        try:
            return await asyncio.to_thread(self._look_up, payment_hash)
        except sqlite3.Error as error:
            return _unknown(f"the sandbox's file did not answer: {error}")

    async def balance_msat(self) -> int:
        """See `Funded`: play money."""

        def ask() -> int:
            with self._file.read() as db:
                mine = self._options.funds_msat + sandbox_book.receipts_msat(db)
                return mine - sandbox_book.spent_msat(db)

        return await asyncio.to_thread(_asked, ask)

    async def payments(self, since_ms: int) -> AsyncGenerator[Recorded]:
        """See `Recording`. `at_ms` is when it was made."""
        for one in await self.history():
            if one.created_at_ms >= since_ms:
                yield Recorded(
                    payment_hash=one.payment_hash,
                    outcome=one.state,
                    amount_msat=one.amount_msat,
                    fee_msat=one.fee_msat if one.state is Outcome.SETTLED else 0,
                    at_ms=one.created_at_ms,
                )

    async def receive(self, amount_msat: int, *, memo: str, expires_seconds: int) -> Invoice:
        """See `Receiving`. A wallet of the sandbox pays it (`SandboxWallets`)."""

        def make() -> str:
            return sandbox_wallets.make_invoice(
                self._file,
                OWN_WALLET,
                amount_msat,
                network=NETWORK,
                description=memo,
                expires_seconds=expires_seconds,
            )

        text = await asyncio.to_thread(_asked, make)
        return own_invoice(text, rail=self.name, network=NETWORK, amount_msat=amount_msat)

    async def received_msat(self, payment_hash: str) -> int | None:
        """See `Receiving`. What came late is there all the same."""

        def ask() -> int | None:
            with self._file.read() as db:
                arrived = sandbox_book.receipt_msat(db, payment_hash)
                ends_ms = sandbox_book.invoice_end_ms(db, payment_hash)
            if arrived is not None:
                return arrived
            return None if ends_ms is None or ends_ms < clock.now_ms() else 0

        return await asyncio.to_thread(_asked, ask)

    async def history(self) -> list[PaymentRecord]:
        """Everything written about every payment, oldest first: the witness of what was really paid."""

        def ask() -> list[PaymentRecord]:
            with self._file.write() as db:
                sandbox_book.decide_due(db, clock.now_ms())
                return sandbox_book.history(db)

        return await asyncio.to_thread(_asked, ask)

    def _begin(self, invoice: Invoice, max_fee_msat: int) -> PaymentResult | Script | None:
        """Refuse, or commit the payment as in flight and say how it shall misbehave (None: not at all)."""
        now_ms = clock.now_ms()
        with self._file.write() as db:
            script = sandbox_book.next_fault(db, look_up=False)
            if script is not None and script.kind is Fault.UNREACHABLE:
                sandbox_book.take_fault(db, script)
                return _unknown("the sandbox could not be reached")
            sandbox_book.decide_due(db, now_ms)
            seen = sandbox_book.find(db, invoice.payment_hash)
            if seen is not None and seen.state is Outcome.SETTLED:
                return _unknown("this invoice is already paid")
            if seen is not None and seen.state is Outcome.IN_FLIGHT:
                return _unknown("a payment of this invoice is in transition")
            refusal = self._refusal(db, invoice, max_fee_msat, now_ms)
            reason = refusal or ("scripted to fail" if script and script.kind is Fault.FAIL else None)
            sandbox_book.put_in_flight(
                db,
                payment_hash=invoice.payment_hash,
                bolt11=invoice.bolt11,
                amount_msat=invoice.amount_msat,
                fee_msat=self._fee(invoice.amount_msat),
                now_ms=now_ms,
                due_at_ms=_due(None if refusal else script, now_ms),
                verdict=Outcome.FAILED if reason else Outcome.SETTLED,
                reason=reason,
            )
            if refusal:
                return None
            if script is not None:
                sandbox_book.take_fault(db, script)
            return script

    def _refusal(
        self, db: sqlite3.Connection, invoice: Invoice, max_fee_msat: int, now_ms: int
    ) -> str | None:
        """Why this invoice will never be paid, or None. The order is that of a node: read, compare, route."""
        try:
            decoded = bolt11.decode(invoice.bolt11)
        except ValueError as error:
            return str(error)
        fee_msat = self._fee(invoice.amount_msat)
        known = sandbox_book.invoice_text(db, decoded.payment_hash)
        checks = (
            (
                decoded.network == NETWORK,
                f"the invoice is for network {decoded.network}, this rail pays {NETWORK}",
            ),
            (decoded.payment_hash == invoice.payment_hash, "the invoice carries another payment hash"),
            (decoded.amount_msat == invoice.amount_msat, "the invoice asks for another amount"),
            (decoded.expires_at_ms > now_ms, "the invoice has expired"),
            (decoded.payee == self.node_id, "no route to the payee"),
            (known == invoice.bolt11.lower(), "the payee does not know this invoice"),
            (fee_msat <= max_fee_msat, f"no route within the fee limit: {fee_msat} msat are needed"),
            (
                invoice.amount_msat + fee_msat <= self._options.funds_msat - sandbox_book.spent_msat(db),
                "insufficient balance",
            ),
        )
        return next((why for good, why in checks if not good), None)

    async def _answer(self, payment_hash: str, script: Script | None) -> PaymentResult:
        kind = script.kind if script else None
        if kind is Fault.SETTLE_LATER:
            return PaymentResult(outcome=Outcome.IN_FLIGHT)
        if kind is Fault.DELAY or kind is Fault.HANG:
            return await self._wait(payment_hash)
        result = await asyncio.to_thread(self._record, payment_hash)
        if kind is Fault.ACCEPT_THEN_LOSE_ANSWER or result is None:
            return _unknown("the answer was lost")
        return result

    async def _wait(self, payment_hash: str) -> PaymentResult:
        end = clock.monotonic() + self._options.answer_timeout
        while True:
            result = await asyncio.to_thread(self._record, payment_hash)
            if result is not None and result.outcome is not Outcome.IN_FLIGHT:
                return result
            if clock.monotonic() > end:
                return PaymentResult(outcome=Outcome.IN_FLIGHT)
            await asyncio.sleep(POLL_S)

    def _look_up(self, payment_hash: str) -> PaymentResult | None:
        with self._file.read() as db:
            script = sandbox_book.next_fault(db, look_up=True)
        if script is not None:
            with self._file.write() as db:
                sandbox_book.take_fault(db, script)
            return _unknown("the sandbox could not be reached")
        return self._record(payment_hash.lower())

    def _record(self, payment_hash: str) -> PaymentResult | None:
        """What is written about a hash, after deciding what is due."""
        now_ms = clock.now_ms()
        with self._file.read() as db:
            found = sandbox_book.find(db, payment_hash)
        if (
            found is not None
            and found.state is Outcome.IN_FLIGHT
            and (found.due_at_ms or now_ms + 1) <= now_ms
        ):
            with self._file.write() as db:
                sandbox_book.decide_due(db, now_ms)
                found = sandbox_book.find(db, payment_hash)
        return None if found is None else _result(found)

    def _fee(self, amount_msat: int) -> int:
        return self._options.fee_base_msat + amount_msat * self._options.fee_ppm // 1_000_000


def _asked(question: Callable[[], AnswerT]) -> AnswerT:
    """For the questions that raise. Raises Retryable."""
    try:
        return question()
    except sqlite3.Error as error:
        raise trouble("sandbox", f"its file did not answer: {error}") from error


def _due(script: Script | None, now_ms: int) -> int | None:
    """When the payment decides itself. At once unless scripted: then it ends although the process that sent it dies."""
    if script is None:
        return now_ms
    return None if script.kind is Fault.HANG else now_ms + script.after_ms


def _result(record: PaymentRecord) -> PaymentResult:
    settled = record.state is Outcome.SETTLED
    return PaymentResult(
        outcome=record.state,
        preimage=record.preimage,
        fee_msat=record.fee_msat if settled else 0,
        reason=record.reason if record.state is Outcome.FAILED else None,
    )


def _unknown(reason: str) -> PaymentResult:
    return PaymentResult(outcome=Outcome.UNKNOWN, reason=reason)
