"""ServiceNow: signed JSON of our scoped app in; notes, comments, fields and resolutions out. Found through
`connectors/registry.py`."""

from __future__ import annotations

from connectors.connector import MEGABYTE, Answers, Connector
from connectors.servicenow.doctor import doctor
from connectors.servicenow.enrich import CONTEXTS, enricher
from connectors.servicenow.normalize import normalize
from connectors.servicenow.reconcile import reconciler
from connectors.servicenow.reply import writer
from connectors.servicenow.settings import TOPICS, ServiceNowSettings
from connectors.servicenow.verify import say, verify

CONNECTOR = Connector(
    name="servicenow",
    settings=ServiceNowSettings,
    verify=verify,
    normalize=normalize,
    writer=writer,
    # Our own drain job reads these: 2xx, 409 and 410 end a row; no answer, 401, 404, 429 and 5xx are tried again for 24
    # hours; any other 4xx ends it with a line in the instance's log (package/src/server/drain.js).
    answers=Answers(
        verified=202,
        duplicate=200,
        signature_missing=401,
        signature_mismatch=401,
        not_stored=503,
        conflict=409,
        deleted=410,
        body_limit=MEGABYTE,
    ),
    roots=frozenset({"event", "source", "actor", "fields", "display"}),
    topics=TOPICS,
    html_notes=False,
    contexts=CONTEXTS,
    bundles=True,
    say=say,
    enricher=enricher,
    reconciler=reconciler,
    doctor=doctor,
)
