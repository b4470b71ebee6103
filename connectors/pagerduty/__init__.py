"""PagerDuty: webhooks v3 in; notes, fields, states and status updates on the incident out. Found through
`connectors/registry.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.connector import KILOBYTE, Answers, Check, Connector, Enricher, Reconciler, Tools, Visit
from connectors.pagerduty.normalize import normalize
from connectors.pagerduty.settings import CONTEXTS, TOPICS, PagerDutySettings
from connectors.pagerduty.verify import verify

if TYPE_CHECKING:
    from core.replies.ticketing import TicketWriter

# pdpyras brings requests: a tenth of a second, and only what calls PagerDuty needs it.


def _writer(settings: PagerDutySettings, tools: Tools) -> TicketWriter:
    from connectors.pagerduty.reply import writer

    return writer(settings, tools)


def _enricher(settings: PagerDutySettings, tools: Tools) -> Enricher:
    from connectors.pagerduty.enrich import enricher

    return enricher(settings, tools)


def _reconciler(settings: PagerDutySettings, tools: Tools) -> Reconciler | None:
    from connectors.pagerduty.reconcile import reconciler

    return reconciler(settings, tools)


async def _doctor(settings: PagerDutySettings, tools: Tools, visit: Visit) -> list[Check]:
    from connectors.pagerduty.doctor import doctor

    return await doctor(settings, tools, visit)


async def _setup(settings: PagerDutySettings, tools: Tools, public_url: str) -> list[str]:
    from connectors.pagerduty.setup import setup

    return await setup(settings, tools, public_url)


CONNECTOR = Connector(
    name="pagerduty",
    settings=PagerDutySettings,
    verify=verify,
    normalize=normalize,
    writer=_writer,
    # PagerDuty drops a delivery at any 4xx except 429 and disables the subscription after three drops, but keeps one
    # answered 5xx for up to 48 h: so a secret that does not match (ours may be stale) is a 503, a stranger's bare
    # request a 401. Larger than 256 KB is never sent. (docs/webhooks/02-Behavior.md)
    answers=Answers(
        verified=202,
        duplicate=202,
        signature_missing=401,
        signature_mismatch=503,
        not_stored=503,
        deleted=404,
        body_limit=256 * KILOBYTE,
    ),
    roots=frozenset({"event", "data"}),
    topics=TOPICS,
    html_notes=False,
    contexts=CONTEXTS,
    enricher=_enricher,
    reconciler=_reconciler,
    doctor=_doctor,
    setup=_setup,
)
