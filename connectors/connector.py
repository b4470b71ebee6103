"""What a connector is: one value with the same parts for every vendor. `connectors/registry.py` finds it by name;
the hub's inbound route, jobs and command line work with nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from connectors.form import ConnectorFile, Route
from connectors.signatures import SignatureMissing
from connectors.threads import Threads
from core.errors import HubError, Unauthenticated
from core.intake.envelope import InboundDelivery, Meaning
from core.replies.ticketing import TicketWriter

KILOBYTE = 1024


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """The status codes this vendor's sender understands; they differ because senders punish different mistakes.
    `body_limit` (bytes) is accepted, more is 413."""

    verified: int
    duplicate: int
    signature_missing: int
    signature_mismatch: int
    not_stored: int
    deleted: int
    body_limit: int

    def for_error(self, error: HubError) -> int:
        """The code for what `verify` or storing raised. Whatever is none of these is our own fault: not stored."""
        if isinstance(error, SignatureMissing):
            return self.signature_missing
        return self.signature_mismatch if isinstance(error, Unauthenticated) else self.not_stored


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub lends to a connector's writer; owned and closed by the hub's wiring."""

    threads: Threads


class Connector(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor.

    `settings` decodes its file. `verify(settings, headers, body)` gives the delivery or raises SignatureMissing or
    SignatureMismatch, nothing else, whatever the bytes are. `normalize(settings, delivery, routes)` says what it
    means and raises only Misconfigured, for an expression of the file. `writer(settings, tools)` writes into its
    tickets. `roots` are the names at the top of the document that routes look at, `topics` those the vendor
    documents; `html_notes` tells whether a note is HTML there."""

    name: str
    settings: type[ConnectorFile]
    verify: Callable[[Any, Mapping[str, str], bytes], InboundDelivery]
    normalize: Callable[[Any, InboundDelivery, Sequence[Route]], Meaning]
    writer: Callable[[Any, Tools], TicketWriter]
    answers: Answers
    roots: frozenset[str]
    topics: frozenset[str]
    html_notes: bool
