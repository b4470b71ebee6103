"""Reads the SOAP of an Outbound Message with expat, strictly: no DOCTYPE, no entities, no processing instructions,
bounded depth, elements and text (billion laughs, XXE and 200,000 nested tags end within a millisecond; measured).
Called by `verify.py`; SessionId is never looked at (old orgs sent a live one)."""

from __future__ import annotations

import re
from typing import Any, cast
from xml.parsers import expat

import msgspec

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
OUTBOUND = "http://soap.sforce.com/2005/09/outbound"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
MAX_DEPTH = 12
MAX_ELEMENTS = 60_000  # 100 records of 500 fields, and room
MAX_TEXT = 262_144  # characters of one field; the longest long text area holds 131,072
MAX_NOTIFICATIONS = 100  # the WSDL's maxOccurs
BOM = b"\xef\xbb\xbf"  # the Microsoft sample of 2015 begins with one
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_SEPARATOR = "\n"  # cannot stand in a name nor, normalised, in a namespace

_TOP = ((SOAP, "Envelope"), (SOAP, "Body"), (OUTBOUND, "notifications"))
_IDS = {(OUTBOUND, "OrganizationId"): "organization_id", (OUTBOUND, "ActionId"): "action_id"}
_NOTIFICATION = (OUTBOUND, "Notification")


class Notification(msgspec.Struct, kw_only=True):
    """One record as it was when the message was sent. `fields` is empty for one that was deleted meanwhile; a field
    that is null or not selected is absent; nil is None."""

    notification_id: str = ""
    object_type: str = ""
    fields: dict[str, Any] = {}


class Message(msgspec.Struct, kw_only=True):
    """What could be read. `problem` says why reading stopped; what stood before it is kept, so that a message whose
    sender is known can be stored and acknowledged: Salesforce would send it again for a day."""

    organization_id: str = ""
    action_id: str = ""
    notifications: list[Notification] = []
    problem: str = ""


class _Refused(Exception):
    """Something that no Outbound Message holds."""


class _Element(msgspec.Struct):
    """An element inside an sObject while it is open."""

    name: str
    nil: bool
    text: list[str] = []
    members: dict[str, Any] = {}


def read(body: bytes, content_type: str = "") -> Message:
    """The message. Never raises for any bytes."""
    reader = _Reader()
    charset = _CHARSET.search(content_type)
    if charset and charset.group(1).lower() not in ("utf-8", "utf8"):
        reader.message.problem = f"the charset is {charset.group(1)[:20]}, not UTF-8"
        return reader.message
    if body.startswith(UTF_16) or b"\0" in body:  # expat follows a UTF-16 mark whatever encoding it is told
        reader.message.problem = "not UTF-8"
        return reader.message
    try:
        reader.parser.Parse(body.removeprefix(BOM), True)
    except _Refused as refusal:
        reader.message.problem = str(refusal)
    except expat.ExpatError as error:
        reader.message.problem = f"not well-formed XML: {error}"
    except (UnicodeDecodeError, ValueError) as error:
        reader.message.problem = f"not UTF-8: {type(error).__name__}"
    if not reader.message.problem and not reader.message.notifications:
        reader.message.problem = "there is no notification in it"
    return reader.message


class _Reader:
    """The handlers of one parser. `path` names the open elements, `open` those of the present sObject's inside."""

    def __init__(self) -> None:
        self.message = Message(notifications=[])
        self.path: list[tuple[str, str]] = []
        self.open: list[_Element] = []
        self.elements = 0
        self.length = 0
        self.parser = parser = expat.ParserCreate("UTF-8", _SEPARATOR)
        parser.buffer_text = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.characters
        parser.XmlDeclHandler = self.declaration
        parser.StartDoctypeDeclHandler = self.doctype
        parser.EntityDeclHandler = self.entity
        parser.ProcessingInstructionHandler = self.instruction
        self.wanted: list[str] | None = None  # the text of an id element that is open

    def start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(_SEPARATOR)
        self.path.append((space, local))
        self.elements += 1
        self.length = 0
        depth = len(self.path)
        if depth > MAX_DEPTH:
            raise _Refused(f"elements are nested more than {MAX_DEPTH} deep")
        if self.elements > MAX_ELEMENTS:
            raise _Refused(f"more than {MAX_ELEMENTS} elements")
        if depth <= len(_TOP):
            in_header = depth >= 2 and self.path[1] == (SOAP, "Header")
            if self.path[-1] != _TOP[depth - 1] and not in_header:
                raise _Refused(f"<{local[:40]}> is not a part of an Outbound Message")
            return
        if tuple(self.path[:3]) != _TOP:
            return
        inside = self.path[3:]
        if inside[0] == _NOTIFICATION:
            self.notification(inside, attributes)
        elif depth == 4 and inside[0] in _IDS:
            self.wanted = []

    def notification(self, inside: list[tuple[str, str]], attributes: dict[str, str]) -> None:
        if len(inside) == 1:
            if len(self.message.notifications) == MAX_NOTIFICATIONS:
                raise _Refused(f"more than {MAX_NOTIFICATIONS} notifications")
            self.message.notifications.append(Notification(fields={}))
        elif len(inside) == 2 and inside[1] == (OUTBOUND, "Id"):
            self.wanted = []
        elif len(inside) == 2 and inside[1] == (OUTBOUND, "sObject"):
            kind = attributes.get(f"{XSI}{_SEPARATOR}type", "")
            self.message.notifications[-1].object_type = kind.rpartition(":")[2][:80]
        elif len(inside) > 2 and inside[1] == (OUTBOUND, "sObject"):
            nil = attributes.get(f"{XSI}{_SEPARATOR}nil") in ("true", "1")
            self.open.append(_Element(inside[-1][1], nil, [], {}))

    def end(self, name: str) -> None:
        closed = self.path.pop()
        if self.wanted is not None:
            self.identified(closed, "".join(self.wanted).strip())
            self.wanted = None
        elif self.open:
            done = self.open.pop()
            value = None if done.nil else done.members or "".join(done.text)
            place = self.open[-1].members if self.open else self.message.notifications[-1].fields
            earlier = place.get(done.name)
            if isinstance(earlier, list):  # a field that repeats is a list
                cast("list[Any]", earlier).append(value)
            else:
                place[done.name] = value if done.name not in place else [earlier, value]

    def identified(self, element: tuple[str, str], text: str) -> None:
        if element in _IDS:
            setattr(self.message, _IDS[element], text[:40])
        else:
            self.message.notifications[-1].notification_id = text[:40]

    def characters(self, text: str) -> None:
        self.length += len(text)
        if self.length > MAX_TEXT:
            raise _Refused(f"a text longer than {MAX_TEXT} characters")
        if self.wanted is not None:
            self.wanted.append(text)
        elif self.open:
            self.open[-1].text.append(text)

    def declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() != "utf-8":
            raise _Refused(f"the encoding is {encoding[:20]}, not UTF-8")

    def doctype(self, *_: object) -> None:
        raise _Refused("a DOCTYPE")

    def entity(self, *_: object) -> None:
        raise _Refused("an entity")

    def instruction(self, *_: object) -> None:
        raise _Refused("a processing instruction")
