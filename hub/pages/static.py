"""The files under `hub/static`, read once at start and served under an address that carries their hash, so that a
browser may keep them for ever and still sees a new release at once. Templates call `asset`."""

from __future__ import annotations

import hashlib
from importlib import resources
from types import MappingProxyType

import msgspec
from litestar import Response, get
from litestar.params import FromPath, FromQuery

from core.errors import NotFound

# Not `mimetypes`: its answer depends on the machine's own tables.
_MEDIA_TYPES = {
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "png": "image/png",
}
_FOR_EVER = "public, max-age=31536000, immutable"


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    content: bytes
    media_type: str
    digest: str


def _load() -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    for entry in resources.files("hub").joinpath("static").iterdir():
        media_type = _MEDIA_TYPES.get(entry.name.rpartition(".")[2])
        if media_type is None or not entry.is_file():
            continue
        content = entry.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:16]
        found[entry.name] = Asset(content=content, media_type=media_type, digest=digest)
    return found


ASSETS = MappingProxyType(_load())


def asset(name: str) -> str:
    """The address of a static file; KeyError for one that does not exist, which a test of every page would show."""
    return f"/static/{name}?v={ASSETS[name].digest}"


@get(
    "/static/{name:str}",
    name="pages.static",
    opt={"public": "files of the release, the same for everybody"},
    include_in_schema=False,
)
async def static_file(name: FromPath[str], v: FromQuery[str] = "") -> Response[bytes]:
    """A file of ours. Only a request that names the right hash may be cached for ever."""
    found = ASSETS.get(name)
    if found is None:
        raise NotFound("no_such_file", f"No static file {name[:100]!r}")
    return Response(
        found.content,
        media_type=found.media_type,
        headers={
            "Cache-Control": _FOR_EVER if v == found.digest else "no-cache",
            "ETag": f'"{found.digest}"',
            "X-Content-Type-Options": "nosniff",
        },
    )
