"""What we write into ServiceNow, made harmless: `[code]` would let a person's answer run as HTML. Called by `reply.py`
for every text. Pure."""

from __future__ import annotations

import re

# What may stand between the letters and vanish on the way: white space, controls, invisible and bidi characters.
_GAP = r"[\s\x00-\x1f\x7f-\x9f\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]*+"  # possessive: it never tries again, so time stays linear
# A journal renders [code]...[/code] as HTML, and glide.ui.security.allow_codetag is true by default (ServiceNowDocs
# sc-allow-embedded-html-code). The opening bracket alone is enough to break it; the closing one follows for looks.
_CODE = re.compile(rf"\[(?P<tag>{_GAP}(?:/{_GAP})?c{_GAP}o{_GAP}d{_GAP}e)(?P<rest>{_GAP}\])?", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def harmless(text: str) -> str:
    """The text with `[code]` and `[/code]` in round brackets, in any case and spacing, without control characters and
    with lone surrogates replaced, which JSON could not carry."""
    text = text.encode("utf-8", "replace").decode()
    return _CONTROLS.sub("", _CODE.sub(_rounded, text))


def _rounded(found: re.Match[str]) -> str:
    return "(" + found["tag"] + (found["rest"][:-1] + ")" if found["rest"] else "")
