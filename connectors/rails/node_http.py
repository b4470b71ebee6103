"""Calls to the operator's own Lightning node: pinned certificate, credential in a header, bounded answers, each request
sent once. Used by `lnd.py`, `cln.py` and `electrum_rpc.py`. Whatever goes wrong is one NodeTrouble: none of it says whether a
payment left, so these rails answer UNKNOWN to all of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping

import aiohttp
import msgspec
from yarl import URL

from core.secret import Secret

MAX_LINE = 1024 * 1024  # bytes; a payment in 16 parts with all its routes is about 100 KB
MAX_ANSWER = 16 * 1024 * 1024  # bytes of a whole stream
CONNECT_SECONDS = 5.0
SAID_CHARACTERS = 200  # of a node's own words, in a reason that an operator reads


class NodeTrouble(Exception):
    """The node gave no answer that can be read. Something may have arrived all the same."""


class NodeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    body: bytes


def said(text: str) -> str:
    """What a node said, fit for one line of an operator's page."""
    return " ".join(text.split())[:SAID_CHARACTERS]


class NodeHttp:
    """One node. `fingerprint` is the SHA-256 of its certificate, None to ask the public authorities. A session lives
    for one payment or look-up: payouts are rare beside a TLS handshake, and a port without `close` keeps nothing open."""

    def __init__(self, url: str, *, header: str, credential: Secret, fingerprint: bytes | None):
        self._url = url
        self._header = header
        self._credential = credential
        self._fingerprint = fingerprint

    def __repr__(self) -> str:
        return f"NodeHttp({self._url!r})"

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncGenerator[aiohttp.ClientSession]:
        """No cookies, nothing from the environment (a proxy there would see the credential), no decompression (a small
        answer stays small)."""
        pinned = aiohttp.Fingerprint(self._fingerprint) if self._fingerprint else True
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=pinned, limit=4),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={
                self._header: self._credential.reveal(),
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
        ) as session:
            yield session

    async def call(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        timeout: float,
        limit: int = MAX_LINE,
    ) -> NodeAnswer:
        """One request and its whole answer, of `limit` bytes at most, within `timeout` seconds. Raises NodeTrouble."""
        status, whole = 0, bytearray()
        async with contextlib.aclosing(self._chunks(session, method, path, body, timeout)) as chunks:
            async for said_status, chunk in chunks:
                status = said_status
                whole += chunk
                if len(whole) > limit:
                    raise NodeTrouble(f"its answer is longer than {limit} bytes")
        return NodeAnswer(status=status, body=bytes(whole))

    async def lines(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        timeout: float,
    ) -> AsyncGenerator[NodeAnswer]:
        """One request and its answer line by line as the lines come, within `timeout` seconds for all of them; what
        stands behind the last line break counts as a line. Raises NodeTrouble."""
        rest, seen, status = b"", 0, 0
        async with contextlib.aclosing(self._chunks(session, method, path, body, timeout)) as chunks:
            async for status, chunk in chunks:
                seen += len(chunk)
                *whole, rest = (rest + chunk).split(b"\n")
                if len(rest) > MAX_LINE or seen > MAX_ANSWER:
                    raise NodeTrouble("its answer does not end")
                for line in whole:
                    if line.strip():
                        yield NodeAnswer(status=status, body=line)
        yield NodeAnswer(status=status, body=rest)

    async def _chunks(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        timeout: float,
    ) -> AsyncGenerator[tuple[int, bytes]]:
        """The status with each piece of the body; at least one, empty if need be."""
        try:
            async with session.request(
                method,
                URL(self._url + path, encoded=True),
                data=None if body is None else msgspec.json.encode(body),
                headers={} if body is None else {"Content-Type": "application/json"},
                allow_redirects=False,  # the credential goes to this node and nowhere else
                timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_SECONDS),
            ) as response:
                yield response.status, b""
                async for chunk in response.content.iter_any():
                    yield response.status, chunk
        except aiohttp.ServerFingerprintMismatch as error:
            raise NodeTrouble("it shows another certificate than the one in tls_cert") from error
        except TimeoutError as error:
            raise NodeTrouble(f"no answer within {timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NodeTrouble(type(error).__name__) from error
