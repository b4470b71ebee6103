"""PagerDuty: webhooks v3 in; notes, fields, states and status updates on the incident out. Found through
`connectors/registry.py`."""

from __future__ import annotations

from connectors.connector import KILOBYTE, Answers, Connector
from connectors.pagerduty.doctor import doctor
from connectors.pagerduty.enrich import CONTEXTS, enricher
from connectors.pagerduty.normalize import normalize
from connectors.pagerduty.reconcile import reconciler
from connectors.pagerduty.reply import writer
from connectors.pagerduty.settings import TOPICS, PagerDutySettings
from connectors.pagerduty.setup import setup
from connectors.pagerduty.verify import verify

CONNECTOR = Connector(
    name="pagerduty",
    settings=PagerDutySettings,
    verify=verify,
    normalize=normalize,
    writer=writer,
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
    enricher=enricher,
    reconciler=reconciler,
    doctor=doctor,
    setup=setup,
)
