"""The token endpoint of the simulated org: client credentials, and the JWT bearer flow as help.salesforce.com "OAuth 2.0
JWT Bearer Flow for Server-to-Server Integration" has it, checked by PyJWT. Used by `salesforce.py`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import jwt

BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCE = "https://login.salesforce.com"
LONGEST = 180  # seconds from now to `exp`


class App:
    """An External Client App. `certificate` is the public key (PEM) of its JWTs, None where that flow is off;
    `users` are those whom an administrator pre-authorised; `seen` holds the claims of every assertion that was good;
    `skew` is by how many seconds the org's clock is ahead of ours."""

    def __init__(self) -> None:
        self.client_id = "secret"
        self.client_secret = "secret"
        self.certificate: bytes | None = None
        self.users = {"hitl@acme.example"}
        self.skew = 0
        self.seen: list[dict[str, Any]] = []

    def refusal(self, form: Mapping[str, Any]) -> dict[str, str] | None:
        """The error of a request for a token, None when it is good."""
        if form.get("grant_type") == BEARER:
            return self._of_assertion(str(form.get("assertion", "")))
        if form.get("grant_type") != "client_credentials":
            return _error("unsupported_grant_type", "grant type not supported")
        if form.get("client_id") != self.client_id:
            return _error("invalid_client_id", "client identifier invalid")
        if form.get("client_secret") != self.client_secret:
            return _error("invalid_client", "invalid client credentials")
        return None

    def _of_assertion(self, assertion: str) -> dict[str, str] | None:
        if self.certificate is None:
            return _error("invalid_client", "app is not enabled for the JWT bearer flow")
        try:
            claims = jwt.decode(
                assertion,
                self.certificate,
                algorithms=["RS256"],
                audience=AUDIENCE,
                issuer=self.client_id,
                leeway=-self.skew,
                options={"require": ["iss", "sub", "aud", "exp"]},
            )
        except jwt.InvalidAudienceError:
            return _error("invalid_grant", "audience is invalid")
        except jwt.InvalidIssuerError:
            return _error("invalid_client_id", "client identifier invalid")
        except jwt.ExpiredSignatureError:
            return _error("invalid_grant", "expired authorization code")
        except jwt.InvalidTokenError:
            return _error("invalid_grant", "invalid assertion")
        if claims["exp"] > time.time() + self.skew + LONGEST:
            return _error("invalid_grant", "expiry is too far ahead")
        if claims["sub"] not in self.users:
            return _error("invalid_grant", "user hasn't approved this consumer")
        self.seen.append(claims)
        return None


def _error(code: str, described: str) -> dict[str, str]:
    return {"error": code, "error_description": described}
