"""What a Salesforce delivery means: which record, who changed it, and which route it takes; the same document whether
a notification, signed JSON or our own poll brought it. Called by the hub's `inbound.received` job and by in-file
tests. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from connectors import signed_json
from connectors.expression_functions import moment_of
from connectors.form import Route
from connectors.routes import decide
from connectors.salesforce.ids import id18
from connectors.salesforce.records import from_soap
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.verify import event_type_of
from core import clock
from core.intake.envelope import RECONCILED, Ignored, InboundDelivery, Origin, Reading, Ticket, Wanted

RECORD = "record"  # the context that holds the record as the API gives it now


def normalize(
    settings: SalesforceSettings,
    delivery: InboundDelivery,
    routes: Sequence[Route],
    context: Mapping[str, Any] | None = None,
) -> Reading:
    """What a route makes of it, Wanted when the record has to be read first, or Ignored with the reason. The document
    of the routes is {event, source, actor, fields, ctx}.

    Raises Misconfigured only, when an expression of the file fails on this record."""
    if settings.mode == "off":
        return Ignored(reason="the connector's mode is off")
    try:
        body: object = msgspec.json.decode(delivery.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        return Ignored(reason=f"malformed body: {str(error)[:200]}")
    if not isinstance(body, dict):
        return Ignored(reason="malformed body: not an object")
    soap = "notification_id" in body and "schema" not in body
    try:
        document = (
            _of_notification(settings, cast("dict[str, Any]", body)) if soap else _of_json(delivery.body)
        )
    except signed_json.Unreadable as error:
        return Ignored(reason=f"malformed body: {error}")
    event_type = document["event"]["type"]
    if event_type == "record.deleted":
        return Ignored(reason="the record was deleted before its message left")
    record_id, table = id18(document["source"]["id"]), document["source"]["table"]
    if table != settings.object:
        return Ignored(reason=f"not about a {settings.object}: {table[:80]}")
    if record_id is None:
        return Ignored(reason=f"the {settings.object} has no id of Salesforce's form")
    if event_type not in settings.inbound.topics:
        return Ignored(reason=f"{event_type[:80]} is not among inbound.topics")
    document["source"]["id"] = record_id
    echo = _own_echo(settings, document)
    if echo:
        return Ignored(reason=echo)
    rules = settings.inbound.messages
    if soap and rules is not None and rules.verify == "refetch" and delivery.verified_by != RECONCILED:
        if context is None:
            return _wanted(settings, document, routes)
        refetched = context.get(RECORD)
        if not isinstance(refetched, dict):
            return Ignored(reason="the record could not be read again")
        _as_it_is_now(document, cast("dict[str, Any]", refetched))
    echo = _own_echo(settings, document)
    if echo:
        return Ignored(reason=echo)
    return decide(routes, document, _ticket(settings, document), context, _origin(document))


def _of_notification(settings: SalesforceSettings, body: dict[str, Any]) -> dict[str, Any]:
    """The document of one notification. Raises Unreadable for one that could not be read, or is not for us."""
    if body.get("unreadable"):
        raise signed_json.Unreadable(str(body["unreadable"])[:200])
    fields, action = body.get("fields"), body.get("action_id")
    if not isinstance(fields, dict):
        raise signed_json.Unreadable("the notification has no fields")
    rules = settings.inbound.outbound_message
    wanted = [id18(one) for one in rules.action_ids] if rules else []
    if wanted and id18(action) not in wanted:
        raise signed_json.Unreadable(f"{str(action)[:20]} is not among outbound_message.action_ids")
    selected = dict.fromkeys(rules.selected_fields) if rules else {}
    document: dict[str, Any] = {
        "event": {
            "id": str(body.get("notification_id"))[:40],
            "type": event_type_of(cast("dict[str, Any]", fields)),
            "reason": None,
            "sent_at": None,
            "attachments": [],
            "action_id": id18(action),
        },
        "source": {
            "system": "salesforce",
            "instance": str(body.get("organization_id"))[:15],
            "table": str(body.get("object_type")),
        },
        "actor": {"id": None, "name": None},
        "fields": {},
    }
    # A field that was selected and is absent is null: Salesforce leaves nulls out.
    _replace_fields(document, {**selected, **from_soap(cast("dict[str, Any]", fields))} if fields else {})
    return document


def _of_json(body: bytes) -> dict[str, Any]:
    event = signed_json.parse(body)
    document = signed_json.document(event)
    document["event"]["action_id"] = None
    if event.source.order is None:
        document["source"]["revision"] = _revision(event.fields)
    if document["actor"]["id"] is None:
        document["actor"]["id"] = event.fields.get("LastModifiedById")
    return document


def _replace_fields(document: dict[str, Any], fields: dict[str, Any]) -> None:
    """Put the record's fields into the document, and what follows from them."""
    fields.pop("attributes", None)  # the REST API's envelope of a record
    document["fields"] = fields
    source = document["source"]
    source.update(
        id=source.get("id") or fields.get("Id"), number=fields.get("CaseNumber"), revision=_revision(fields)
    )
    document["actor"]["id"] = fields.get("LastModifiedById")


def _as_it_is_now(document: dict[str, Any], record: dict[str, Any]) -> None:
    """The refetched record in place of the message's fields, but not its author: that is the last one, who may be
    ourselves, when we wrote an earlier answer after the change of a person that this message tells about. A message
    carries the record as it is when it is sent, so the one about our own write names us (help: "Outbound Message
    Considerations"). Where the definition does not select the author, the last one must do."""
    author = document["actor"]["id"]
    _replace_fields(document, record)
    if isinstance(author, str) and author:
        document["actor"]["id"] = author


def _revision(fields: Mapping[str, Any]) -> str | None:
    """Milliseconds of the record's last change: SystemModstamp also grows by what the system itself changes."""
    for name in ("SystemModstamp", "LastModifiedDate"):
        value = fields.get(name)
        moment = moment_of(value) if isinstance(value, str) else None
        if moment is not None:
            return str(clock.to_ms(moment))
    return None


def _wanted(settings: SalesforceSettings, document: dict[str, Any], routes: Sequence[Route]) -> Wanted:
    """The record, and what any route may ask for: which one it takes is known only with the record at hand."""
    more = {name for route in routes for name in route.enrich} - {RECORD}
    return Wanted(route="", ticket=_ticket(settings, document), names=(RECORD, *sorted(more)))


def _own_echo(settings: SalesforceSettings, document: dict[str, Any]) -> str:
    guard, author = settings.loop_guard, document["actor"]["id"]
    if isinstance(author, str) and (id18(author) or author) in {
        id18(one) or one for one in guard.ignore_agents
    }:
        return f"changed by {author[:40]}, which loop_guard ignores"
    fields: dict[str, Any] = document["fields"]
    if any(isinstance(value, str) and guard.marker in value for value in fields.values()):
        return "carries our own marker"
    return ""


def _ticket(settings: SalesforceSettings, document: dict[str, Any]) -> Ticket:
    record_id, subject = document["source"]["id"], document["fields"].get("Subject")
    return Ticket(
        id=record_id,
        url=f"https://{settings.auth.host}/{record_id}",
        summary=subject[:500] if isinstance(subject, str) else None,
    )


def _origin(document: dict[str, Any]) -> Origin:
    revision, comment = document["source"].get("revision"), document["fields"].get("CommentId")
    text = str(revision)
    known = id18(comment)
    return Origin(
        item_ids=(known,) if known else (),
        revision=int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None,
    )
