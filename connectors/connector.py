"""What a connector is: one value with the same parts for every vendor. `connectors/registry.py` finds it by name;
the hub's inbound route, jobs and command line work with nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from connectors.form import ConnectorFile, Route
from connectors.pauses import Pauses
from connectors.signatures import SignatureMissing
from connectors.threads import Threads
from core.errors import HubError, Unauthenticated
from core.intake.envelope import InboundDelivery, Reading, Wanted
from core.replies.ticketing import TicketWriter

if TYPE_CHECKING:
    import httpx

KILOBYTE = 1024
MEGABYTE = 1024 * KILOBYTE


class InboundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as HTTP brought it. `headers` have lower-case names; `path_token` is what follows the connector's id
    in the path (empty for nothing); `client_ip` is the peer's address, from the proxy's header where one is trusted.
    `received_at` (aware, UTC) is when it came in, where that is not now: a delivery out of quarantine is as old as its
    time stamp says, and was young then. Only the age of a stamp is measured by it, never whether a secret counts."""

    headers: Mapping[str, str]
    body: bytes
    path_token: str = ""
    client_ip: str = ""
    received_at: datetime | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one delivery of a request. `fresh` is False for one that had been seen before; then `task_id` is
    the task it made, when it made one."""

    delivery_id: str
    fresh: bool
    task_id: str | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an answer to a sender that reads it."""

    media_type: str
    body: bytes


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """The status codes this vendor's sender understands; they differ because senders punish different mistakes.
    `body_limit` (bytes) is accepted, more is 413. `deleted` answers a connector that the operator has retired;
    `conflict`, where set, answers a known event id that comes with another body."""

    verified: int
    duplicate: int
    signature_missing: int
    signature_mismatch: int
    not_stored: int
    deleted: int
    body_limit: int
    conflict: int | None = None

    def for_error(self, error: HubError) -> int:
        """The code for what `verify` or storing raised. Whatever is none of these is our own fault: not stored."""
        if isinstance(error, SignatureMissing):
            return self.signature_missing
        return self.signature_mismatch if isinstance(error, Unauthenticated) else self.not_stored


def nothing_said(request: InboundRequest, status: int, receipts: Sequence[Receipt]) -> Said:
    """The answer of a connector whose vendor reads the status alone."""
    return Said(media_type="text/plain", body=b"")


def as_it_is(body: bytes) -> bytes:
    """What a connector keeps whose vendor never puts a credential into a body."""
    return body


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub lends to a connector; owned and closed by the hub's wiring. `http` gives the one httpx client
    (no redirects, no cookies, no environment proxies), made when first asked for; `pauses` remembers per connector id
    until when the vendor wants no calls."""

    threads: Threads
    http: Callable[[], httpx.AsyncClient]
    pauses: Pauses


class Enricher(Protocol):
    async def fetch(self, wanted: Wanted) -> dict[str, Any]:
        """name -> JSON-shaped value for each of `wanted.names`. Raises Retryable, Rejected (the ticket is gone) or
        Misconfigured (credentials)."""
        ...


class Reconciler(Protocol):
    def changes(self, since_ms: int) -> AsyncIterator[InboundDelivery]:
        """Deliveries for whatever of the routed kinds changed at the vendor since then (UTC ms), in the form in which
        its webhook would have brought them, so that routes and keys come out the same; paged to the end. Ids are
        `recon:<ticket>:<what changed>`. Raises Retryable or Misconfigured."""
        ...


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `hub connectors doctor`. `ok` is None when it could not be told; `fix` says what to do, with the
    vendor's own words for the place."""

    name: str
    ok: bool | None
    said: str
    fix: str = ""


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What the doctor may use: the hub's public URL, and a ticket of the operator's choice on which a canary note may
    be written and read back (empty: that check is left out and says so)."""

    public_url: str
    ticket_id: str = ""


class Connector(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor.

    `settings` decodes its file. `verify(settings, request)` gives the deliveries of a request (one, except where the
    vendor batches; never none) or raises SignatureMissing or SignatureMismatch, nothing else, whatever the bytes are.
    `normalize(settings, delivery, routes, context)` says what one means; `context` holds what an earlier reading
    wanted, None at first; it raises only Misconfigured, for an expression of the file. `writer(settings, tools)`
    writes into its tickets. `roots` are the names at the top of the document that routes look at (with `ctx` for
    fetched context), `contexts` the names that `enrich:` may ask for, `topics` the event types that the vendor
    documents; `html_notes` tells whether a note is HTML there; `bundles` that all actions of an outcome are one write.
    `say(request, status, receipts)` gives the body of an answer, no receipts when nothing was stored.
    `scrub(body)` gives what of a body may be kept when nobody verified it: a vendor's message may carry a credential. The optional parts: `enricher` fetches context, `reconciler` finds what the
    sender gave up on (it gives None where the API credentials are empty: disabled), `doctor` examines a configuration, `setup(settings, tools, public_url)` does at the vendor what
    can be done by its API and returns lines for the operator."""

    name: str
    settings: type[ConnectorFile]
    verify: Callable[[Any, InboundRequest], tuple[InboundDelivery, ...]]
    normalize: Callable[[Any, InboundDelivery, Sequence[Route], Mapping[str, Any] | None], Reading]
    writer: Callable[[Any, Tools], TicketWriter]
    answers: Answers
    roots: frozenset[str]
    topics: frozenset[str]
    html_notes: bool
    contexts: frozenset[str] = frozenset()
    bundles: bool = False
    say: Callable[[InboundRequest, int, Sequence[Receipt]], Said] = nothing_said
    scrub: Callable[[bytes], bytes] = as_it_is
    enricher: Callable[[Any, Tools], Enricher] | None = None
    reconciler: Callable[[Any, Tools], Reconciler | None] | None = None
    doctor: Callable[[Any, Tools, Visit], Awaitable[list[Check]]] | None = None
    setup: Callable[[Any, Tools, str], Awaitable[list[str]]] | None = None
