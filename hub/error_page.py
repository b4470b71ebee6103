"""The page a person sees when something failed. Plain HTML without a template, because a broken template must not
hide the failure. Called by `hub/problems.py`."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from litestar import Request

SIGN_IN_PATH = "/sign-in"
_NEVER_PAGES = ("/hooks/", "/.well-known/", "/schema/", "/livez", "/readyz", "/healthz", "/metrics")


def wanted(request: Request[Any, Any, Any]) -> bool:
    """True for a browser that asks for a page."""
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted and not request.scope["path"].startswith(_NEVER_PAGES)


def sign_in_address(request: Request[Any, Any, Any]) -> str:
    """Where somebody without a session goes, and back to where they wanted to be (a path of ours, never a URL)."""
    if request.method != "GET":
        return SIGN_IN_PATH
    path = request.scope["path"]
    return SIGN_IN_PATH if path.startswith("//") else f"{SIGN_IN_PATH}?next={quote(path, safe='/')}"


def render(request: Request[Any, Any, Any], status: int, message: str, request_id: str) -> str:
    phrase = HTTPStatus(status).phrase
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(phrase)}</title>
<link rel="stylesheet" href="/static/hub.css">
</head>
<body>
<main id="main">
<div class="narrow card">
<h1>{escape(phrase)}</h1>
<p>{escape(message)}</p>
<p><small>Request {escape(request_id)}</small></p>
<p class="actions"><a class="button" href="/">Back to the start</a></p>
</div>
</main>
</body>
</html>
"""
