"""The bodies of our answers: the one Ack that Salesforce accepts for an Outbound Message, a SOAP Fault for anything
else, JSON for signed JSON. Called by the hub's inbound route."""

from __future__ import annotations

from collections.abc import Sequence

from connectors import signed_json
from connectors.connector import InboundRequest, Receipt, Said
from connectors.salesforce.verify import is_soap

# Byte for byte what the WSDL asks for; an empty 200, JSON, or one space before the declaration is sent again for 24 h
# (matrix-org/matrix-hookshot#837). One Ack covers all notifications of the message.
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
ACK = (
    _HEAD + '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    '<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    "</soapenv:Body></soapenv:Envelope>"
).encode()
_FAULT = (
    _HEAD + '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    "<soapenv:Fault><faultcode>soapenv:{code}</faultcode><faultstring>{said}</faultstring></soapenv:Fault>"
    "</soapenv:Body></soapenv:Envelope>"
)


def say(request: InboundRequest, status: int, receipts: Sequence[Receipt]) -> Said:
    """A sender that is refused learns no more than that."""
    if not is_soap(request):
        return signed_json.answer(status, receipts)
    if status == 200:
        return Said(media_type="text/xml", body=ACK)
    code, said = ("Client", "refused") if status < 500 else ("Server", "not stored, send it again")
    return Said(media_type="text/xml", body=_FAULT.format(code=code, said=said).encode())
