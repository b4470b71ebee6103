"""The options of a rail's block in `hub.yaml` as its Struct, with the secret read. Used by the rails `phoenixd` and
`lnbits` when the hub starts; every mistake names its key and the fix."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import msgspec

from connectors import secret_refs
from connectors.rails.wallet_http import server_url
from connectors.secret_refs import Secrets
from core import clock
from core.errors import Misconfigured

Options = TypeVar("Options", bound=msgspec.Struct)


def read(kind: type[Options], rail: str, options: Mapping[str, object]) -> Options:
    """`options` as `kind`. Raises Misconfigured."""
    fields = msgspec.structs.fields(kind)
    known = [field.encode_name for field in fields]
    unknown = next((key for key in options if key not in known), None)
    if unknown is not None:
        raise wrong(rail, unknown, f"there is no such option; there are {', '.join(known)}")
    missing = next((f.encode_name for f in fields if f.required and f.encode_name not in options), None)
    if missing is not None:
        raise wrong(rail, missing, "is missing; write env:NAME or file:/absolute/path of the secret")
    try:
        return msgspec.convert(dict(options), kind, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).rpartition(" - at `$")
        raise wrong(rail, path.rstrip("`").lstrip(".").split("[")[0], problem or str(error)) from error


def secret(rail: str, key: str, secrets: Secrets, *, where: str) -> str:
    """The secret that is presented. `where` tells the operator what to put there. Raises Misconfigured without one."""
    value = secrets.current(clock.now()).reveal()
    refs = ", ".join(entry.ref for entry in secrets.entries)
    if not value:
        raise wrong(rail, key, f"{refs} is not set, empty or past its date; put {where} there")
    if not value.isprintable() or not value.isascii() or " " in value:
        raise wrong(rail, key, f"{refs} holds spaces, line breaks or letters beyond ASCII; put {where} there")
    return value


def base_url(rail: str, url: str) -> str:
    """Raises Misconfigured for a URL that is none or would send the secret in the clear; the URL itself, which may
    hold a password, is not repeated."""
    try:
        return server_url(url)
    except ValueError as error:
        raise wrong(rail, "url", str(error)) from error


def wrong(rail: str, key: str, problem: str) -> Misconfigured:
    place = f"rails.options.{rail}.{key}" if key else f"rails.options.{rail}"
    return Misconfigured("rail_options", f"hub.yaml: {place}: {problem}")


def _decode(kind: type[Any], value: object) -> object:
    if kind is Secrets:
        # A secret that is not set is no warning here: `secret` refuses it.
        return secret_refs.resolve(cast("Any", value), os.environ, lambda _: None)
    raise NotImplementedError(kind)
