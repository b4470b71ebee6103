"""Reads the `options` of a rail that speaks to a Lightning node of one's own: address, credential by reference, pinned
certificate, network. Called by the `from_options` of `lnd.py` and `cln.py`; every mistake is a Misconfigured that names
the key and the fix, and never repeats a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from connectors import secret_refs
from connectors.rails.node_http import said
from core.errors import Misconfigured
from core.secret import Secret

# What a node calls its network (lnd's `chains[].network`, CLN's `network`) -> prefix of its invoices without `ln`.
PREFIXES = {
    "mainnet": "bc",
    "bitcoin": "bc",
    "testnet": "tb",
    "testnet3": "tb",
    "testnet4": "tb",
    "signet": "tbs",
    "regtest": "bcrt",
}
_HERE = ("127.0.0.1", "::1", "localhost")
_MISSING = re.compile(r"missing required field `(\w+)`")
_INSIDE = re.compile(r" - at `\$\.(\w+)`$")
MAX_CERTIFICATE_BYTES = 65_536

Network = Literal["bc", "tb", "tbs", "bcrt"]
NODE_ID = r"^(0[23][0-9a-f]{64})?$"

OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)


def wrong(rail: str, key: str, what: str) -> Misconfigured:
    """The error for one key of `rails.options.<rail>`."""
    return Misconfigured("rail_options", f"hub.yaml: rails.options.{rail}.{key}: {what}")


def read(rail: str, options: Mapping[str, object], form: type[OptionsT]) -> OptionsT:
    """The options as their Struct. Texts from the environment become numbers. Raises Misconfigured."""
    try:
        return msgspec.convert(options, form, strict=False)
    except msgspec.ValidationError as error:
        missing, inside = _MISSING.search(str(error)), _INSIDE.search(str(error))
        if missing is not None:
            raise wrong(rail, missing[1], "this key is required") from error
        if inside is not None:
            raise wrong(rail, inside[1], str(error).removesuffix(inside[0])) from error
        raise Misconfigured("rail_options", f"hub.yaml: rails.options.{rail}: {error}") from error


def other_node(rail: str, *, says: str, network: Network, node: str, node_id: str) -> str | None:
    """Why the node that calls itself `node` on the network `says` is not the one in the options, or None."""
    if PREFIXES.get(says) != network:
        return f"{rail} is on {said(says) or 'no network'}, but rails.options.{rail}.network is {network}"
    if node_id not in ("", node):
        return f"{rail} is node {said(node)}, not the one in rails.options.{rail}.node_id"
    return None


def base_url(rail: str, url: str) -> str:
    """`url` without its last slash. Only https, since the credential travels in a header; http on this machine alone."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise wrong(rail, "url", f"this is no address ({error}); write https://host:port") from error
    if parts.scheme not in ("https", "http") or not host:
        raise wrong(rail, "url", "this is no address; write https://host:port")
    if parts.scheme == "http" and host not in _HERE:
        raise wrong(rail, "url", "the credential must not travel unencrypted; write https://")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise wrong(rail, "url", "only https://host:port may stand here, no user, query or fragment")
    return url.rstrip("/")


def credential(rail: str, key: str, reference: str) -> Secret:
    """The secret behind `env:NAME` or `file:/path`. Raises Misconfigured when it is a literal, missing or empty."""
    warnings: list[str] = []
    try:
        secrets = secret_refs.resolve(reference, os.environ, warnings.append)
    except ValueError as error:
        raise wrong(rail, key, str(error)) from error
    secret = secrets.entries[0].secret
    if not secret:
        raise wrong(rail, key, "; ".join(warnings))
    if not (secret.reveal().isascii() and secret.reveal().isprintable()) or " " in secret.reveal():
        raise wrong(rail, key, f"{reference} is not one line of plain text")
    return secret


def fingerprint(rail: str, path: str) -> bytes | None:
    """SHA-256 of the certificate (PEM) that the node must show; None for an empty path: then a public authority must
    vouch for it. Of several certificates in the file the first counts."""
    if not path:
        return None
    try:
        with Path(path).expanduser().open("rb") as file:
            found = x509.load_pem_x509_certificates(file.read(MAX_CERTIFICATE_BYTES))
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else "it holds no certificate in PEM"
        raise wrong(rail, "tls_cert", f"{path} cannot be used: {what}") from error
    return found[0].fingerprint(hashes.SHA256())
