"""A guard of the pages and the worker API against addresses that no row can have."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from core.errors import NotFound


async def no_nul(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """PostgreSQL takes no U+0000 in a text: an address with one is an address of nothing, not a fault of ours."""
    if "\0" in connection.scope["path"] or b"%00" in connection.scope["query_string"]:
        raise NotFound("not_found", "The requested resource does not exist")
