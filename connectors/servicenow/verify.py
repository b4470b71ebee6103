"""Is this delivery from our scoped app? The shared contract's signature decides. Called by the hub's inbound route."""

from __future__ import annotations

from collections.abc import Sequence

from connectors import signed_json
from connectors.connector import InboundRequest, Receipt, Said
from connectors.servicenow.settings import ServiceNowSettings
from connectors.signatures import SignatureMismatch, SignatureMissing
from core.intake.envelope import InboundDelivery


def verify(settings: ServiceNowSettings, request: InboundRequest) -> tuple[InboundDelivery, ...]:
    """The one delivery of a request. Raises SignatureMissing or SignatureMismatch and nothing else."""
    wanted = settings.inbound.signed_json
    if wanted.enabled:
        return (signed_json.verify(request, wanted),)
    if not request.headers.get(signed_json.SIGNATURE, "").strip():
        raise SignatureMissing(signed_json.SIGNATURE)
    raise SignatureMismatch(signed_json.SIGNATURE, 0)


def say(request: InboundRequest, status: int, receipts: Sequence[Receipt]) -> Said:
    """`{"id", "duplicate", "task_id"}`: the drain job keeps it in its outbox row."""
    return signed_json.answer(status, receipts)
