"""What the form's script says of how an answer was written. It comes from the worker's own browser, so it is taken as a hint:
bounded, and dropped without a word when it is not what the script sends."""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec

from core.verification.anomaly.model import Device

_LONGEST = 500
_Count = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]


class _Sent(msgspec.Struct, kw_only=True):
    pastes: _Count = 0
    pasted: _Count = 0
    blurs: _Count = 0
    keys: _Count = 0
    typing_ms: _Count = 0
    browser: Annotated[str, msgspec.Meta(max_length=64)] = ""


_decoder = msgspec.json.Decoder(_Sent)


def noticed_in(text: object) -> Device | None:
    """None for a form without the script, and for anything odd."""
    if not isinstance(text, str) or not text or len(text) > _LONGEST:
        return None
    try:
        sent = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    return Device(
        pastes=sent.pastes,
        pasted=sent.pasted,
        blurs=sent.blurs,
        keys=sent.keys,
        typing_ms=sent.typing_ms,
        id=hashlib.sha256(sent.browser.encode()).hexdigest()[:32] if sent.browser else None,
    )
