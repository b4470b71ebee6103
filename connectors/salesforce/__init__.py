"""Salesforce: Outbound Messages and signed JSON in, comments and fields on the Case out. Found through
`connectors/registry.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.connector import MEGABYTE, Answers, Check, Connector, Enricher, Reconciler, Tools, Visit
from connectors.salesforce.normalize import normalize
from connectors.salesforce.said import say
from connectors.salesforce.scrub import scrub
from connectors.salesforce.settings import TOPICS, SalesforceSettings
from connectors.salesforce.verify import verify

if TYPE_CHECKING:
    from core.replies.ticketing import TicketWriter

# simple-salesforce brings requests, zeep and lxml: a tenth of a second, and only what writes into tickets needs it.


def _writer(settings: SalesforceSettings, tools: Tools) -> TicketWriter:
    from connectors.salesforce.reply import writer

    return writer(settings, tools)


def _enricher(settings: SalesforceSettings, tools: Tools) -> Enricher:
    from connectors.salesforce.enrich import enricher

    return enricher(settings, tools)


def _reconciler(settings: SalesforceSettings, tools: Tools) -> Reconciler | None:
    from connectors.salesforce.reconcile import reconciler

    return reconciler(settings, tools)


async def _doctor(settings: SalesforceSettings, tools: Tools, visit: Visit) -> list[Check]:
    from connectors.salesforce.doctor import doctor

    return await doctor(settings, tools, visit)


CONNECTOR = Connector(
    name="salesforce",
    settings=SalesforceSettings,
    verify=verify,
    normalize=normalize,
    writer=_writer,
    # An Outbound Message is delivered only by a 200 with the Ack; whatever else is tried again for 24 hours, then it
    # stands in Setup > Outbound Messages. So a refusal loses nothing while the operator mends a token, and a retired
    # connector says 410 with a Fault: an Ack would make escalations vanish without anybody seeing it, and the outbox
    # of our own package takes 410 as final. 100 Cases of full length are 3.3 MB.
    answers=Answers(
        verified=200,
        duplicate=200,
        signature_missing=401,
        signature_mismatch=403,
        not_stored=503,
        deleted=410,
        body_limit=16 * MEGABYTE,
        conflict=409,
    ),
    roots=frozenset({"event", "source", "actor", "fields"}),
    topics=TOPICS,
    html_notes=False,
    contexts=frozenset({"record", "comments"}),
    bundles=True,
    say=say,
    scrub=scrub,
    enricher=_enricher,
    reconciler=_reconciler,
    doctor=_doctor,
)
