"""The API's description: the published contract with our additions merged in, as JSON and YAML, and a documentation page
that loads nothing from elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import resources
from typing import Any, cast

import msgspec
import yaml
from litestar import Response, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from core.errors import NotFound

_HERE = resources.files("hub") / "api" / "openapi"
_VENDOR = resources.files("hub") / "static" / "vendor" / "swagger-ui"
_PAGE = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
}
_DAY = {"Cache-Control": "public, max-age=86400"}
# Swagger UI draws its icons from data: addresses; its bundle sets styles through the DOM, which no policy forbids.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_START = b"""window.addEventListener("load", function () {
  window.ui = SwaggerUIBundle({ url: "/schema/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
});
"""
_HTML = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<script src="/docs/swagger-ui-bundle.js" defer></script>
<script src="/docs/start.js" defer></script>
</head>
<body><div id="docs"></div></body>
</html>
"""


def document(public_url: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of this hub."""
    contract = yaml.safe_load((_HERE / "escalation-engine-v1.yaml").read_text())
    additions = yaml.safe_load((_HERE / "additions.yaml").read_text())
    merged = cast("dict[str, Any]", _merged(contract, additions))
    merged["servers"] = [{"url": f"{public_url}/v1"}]
    return merged


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(cast("dict[str, Any]", target)) if isinstance(target, dict) else {}
    for name, value in cast("dict[str, Any]", patch).items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result


@get("/docs")
async def docs() -> Response[bytes]:
    return Response(_HTML, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


@get("/docs/{name:str}")
async def docs_file(name: FromPath[str]) -> Response[bytes]:
    if name not in _PAGE:
        raise NotFound("no_such_file", "No such file")
    return Response(_content(name), media_type=_PAGE[name], headers=_DAY)


@functools.cache
def _content(name: str) -> bytes:
    return _START if name == "start.js" else (_VENDOR / name).read_bytes()


def router(public_url: str) -> Router:
    handlers: list[HTTPRouteHandler] = [
        _constant("/schema/openapi.json", _as_json, public_url, "application/json"),
        _constant("/schema/openapi.yaml", _as_yaml, public_url, "application/yaml"),
        docs,
        docs_file,
    ]
    return Router(path="/", opt={"public": "the description of a public interface"}, route_handlers=handlers)


def _constant(path: str, write: Callable[[str], bytes], public_url: str, media_type: str) -> HTTPRouteHandler:
    @get(path)
    async def constant() -> Response[bytes]:
        return Response(write(public_url), media_type=media_type, headers={"Cache-Control": "no-cache"})

    return constant


# Written when somebody asks: reading the two files would be most of the time in which an application starts.
@functools.cache
def _as_json(public_url: str) -> bytes:
    return msgspec.json.encode(document(public_url))


@functools.cache
def _as_yaml(public_url: str) -> bytes:
    return yaml.safe_dump(document(public_url), sort_keys=False, allow_unicode=True, width=120).encode()
