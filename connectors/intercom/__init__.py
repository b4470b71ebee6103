"""Intercom: webhooks in (conversations, tickets, Fin procedures), notes, replies and fields out. Found through
`connectors/registry.py`."""

from __future__ import annotations

from connectors.connector import MEGABYTE, Answers, Connector
from connectors.intercom.doctor import doctor
from connectors.intercom.enrich import CONTEXTS, enricher
from connectors.intercom.normalize import normalize
from connectors.intercom.reconcile import reconciler
from connectors.intercom.reply import writer
from connectors.intercom.settings import TOPICS, IntercomSettings
from connectors.intercom.setup import setup
from connectors.intercom.verify import verify

CONNECTOR = Connector(
    name="intercom",
    settings=IntercomSettings,
    verify=verify,
    normalize=normalize,
    writer=writer,
    # Intercom tries again once, a minute later, after anything but 2xx; 410 disables the subscription; 429 throttles it
    # for up to two hours, after which it drops notifications: so nothing here is ever a 429.
    # (developers.intercom.com, Webhook topics, "Handling Webhook notifications")
    answers=Answers(
        verified=200,
        duplicate=200,
        signature_missing=401,
        signature_mismatch=401,
        not_stored=503,
        deleted=410,
        body_limit=1 * MEGABYTE,
    ),
    roots=frozenset({"event", "item", "part"}),
    topics=TOPICS,
    html_notes=True,
    contexts=CONTEXTS,
    enricher=enricher,
    reconciler=reconciler,
    doctor=doctor,
    setup=setup,
)
