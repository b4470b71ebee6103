"""Access tokens for one org, minted by ourselves with httpx: client credentials, or a JWT that our key signs. Driven by
`client.py`. simple-salesforce is not asked to log in: on an expired token it would sign in again silently and send a
PATCH a second time without its If-Unmodified-Since (measured on 1.12.10: a lost update)."""

from __future__ import annotations

import base64
import re
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from connectors.calls import Answer, NoAnswer, NotSent, failure_of
from connectors.connector import Tools
from connectors.pauses import Pauses
from connectors.salesforce.records import members
from connectors.salesforce.settings import SYSTEM, SalesforceSettings
from connectors.vendor_http import send
from core import clock
from core.errors import HubError, Misconfigured, Retryable
from core.secret import Secret

JWT_SECONDS = 180  # Salesforce accepts at most three minutes
_IDENTITY = re.compile(r"/id/(00D[A-Za-z0-9]{12,15})/(005[A-Za-z0-9]{12,15})\Z")
_TRANSIENT = frozenset({"unknown_error", "server_error", "temporarily_unavailable"})


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """`organization_id` and `user_id` are from the answer's identity URL, empty where it has none."""

    secret: Secret
    organization_id: str = ""
    user_id: str = ""


# The process's tokens, for as long as the hub's tools live; a token is kept until Salesforce answers 401.
_KEPT: WeakKeyDictionary[Pauses, dict[tuple[str, ...], Token]] = WeakKeyDictionary()


class Tokens:
    """Of one connector. A changed credential is another key: its tokens are minted anew."""

    def __init__(self, settings: SalesforceSettings, tools: Tools):
        self._settings = settings
        self._tools = tools
        self._kept = _KEPT.setdefault(tools.pauses, {})

    async def get(self) -> Token:
        """Raises Misconfigured (credentials empty or refused) or Retryable."""
        key = self._key()
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = await self._mint()
        return found

    def drop(self, token: Token) -> None:
        """Salesforce refused it; one that another call minted meanwhile stays."""
        key = self._key()
        if self._kept.get(key) is token:
            del self._kept[key]

    def _key(self) -> tuple[str, ...]:
        client_id, secret = self._settings.auth.present(clock.now())
        auth = self._settings.auth
        return (
            self._settings.id,
            self._settings.api_url,
            auth.method,
            auth.username or "",
            client_id.reveal(),
            secret.reveal(),
        )

    async def _mint(self) -> Token:
        auth, now = self._settings.auth, clock.now()
        if not auth.complete(now):
            raise Misconfigured(
                "no_credentials",
                f"{self._settings.id}: auth.client_id and auth.client_secret (or private_key) are not set; without "
                "them nothing can be read from or written to Salesforce",
            )
        client_id, secret = auth.present(now)
        if auth.method == "jwt":
            form = {
                "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
                "assertion": assertion(self._settings, client_id, secret),
            }
        else:
            form = {
                "grant_type": "client_credentials",
                "client_id": client_id.reveal(),
                "client_secret": secret.reveal(),
            }
        http = self._tools.http()
        request = http.build_request(
            "POST",
            f"{self._settings.api_url}/services/oauth2/token",
            data=form,
            headers={"accept": "application/json"},
        )
        try:
            answer = await send(http, request)
        except (NotSent, NoAnswer) as problem:
            raise failure_of(problem, SYSTEM, writes=False) from problem
        return token_of(answer)


def assertion(settings: SalesforceSettings, client_id: Secret, key: Secret) -> str:
    """The signed JWT of the bearer flow (help.salesforce.com "OAuth 2.0 JWT Bearer Flow"). Raises Misconfigured."""
    try:
        private = serialization.load_pem_private_key(key.reveal().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Misconfigured(
            "bad_private_key", "auth.private_key is no PEM of an unencrypted private key"
        ) from error
    if not isinstance(private, rsa.RSAPrivateKey):
        raise Misconfigured("bad_private_key", "auth.private_key must be an RSA key: Salesforce takes RS256")
    claims = {
        "iss": client_id.reveal(),
        "sub": settings.auth.username,
        "aud": f"https://{'test' if settings.auth.sandbox else 'login'}.salesforce.com",
        "exp": clock.unix() + JWT_SECONDS,
    }
    signed = f"{_part({'alg': 'RS256'})}.{_part(claims)}"
    signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_unpadded(signature)}"


def token_of(answer: Answer) -> Token:
    """Raises Misconfigured with the OAuth error, Retryable for a failure of theirs."""
    body = members(answer.body)
    value = body.get("access_token")
    if answer.ok and isinstance(value, str) and value:
        identity = _IDENTITY.search(str(body.get("id")))
        return Token(
            secret=Secret(value),
            organization_id=identity.group(1) if identity else "",
            user_id=identity.group(2) if identity else "",
        )
    raise _refusal(answer, str(body.get("error"))[:80], str(body.get("error_description"))[:200])


def _refusal(answer: Answer, error: str, described: str) -> HubError:
    said = f"{error}: {described}"
    if answer.ok or answer.status in (408, 429) or answer.status >= 500 or error in _TRANSIENT:
        return Retryable(
            "no_token", f"{SYSTEM} gave no token ({answer.status}): {said}.", status=answer.status
        )
    return Misconfigured(
        "credentials_refused",
        f"{SYSTEM} refuses our credentials ({answer.status}): {said}.",
        status=answer.status,
    )


def _part(value: dict[str, Any]) -> str:
    return _unpadded(msgspec.json.encode(value))


def _unpadded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
