"""Salesforce's REST API through simple-salesforce, used in the one safe way: a token of our own (so that it never signs
in or sends again by itself), a session with time-outs, `restful` and `query` only. The only file that imports it;
driven by `reply.py`, `enrich.py`, `reconcile.py` and `doctor.py`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Literal

import requests
from requests import exceptions as http
from requests.adapters import HTTPAdapter
from simple_salesforce import api as simple
from simple_salesforce.exceptions import SalesforceError
from urllib3 import exceptions as pool

from connectors.calls import Answer, NoAnswer, NotSent, failure_of
from connectors.connector import Tools
from connectors.salesforce.errors import pause_for
from connectors.salesforce.records import members
from connectors.salesforce.settings import SYSTEM, SalesforceSettings
from connectors.salesforce.tokens import Token, Tokens
from connectors.threads import NeverStarted, StillRunning
from core.errors import Retryable

Method = Literal["GET", "POST"]
TIMEOUT = (3.0, 15.0)  # seconds to connect, seconds between two bytes of the answer
QUEUEING = 7.0  # seconds a call may wait for a thread on top of its time-outs
_MORE = re.compile(r"/services/data/v\d{2}\.0/(query/[A-Za-z0-9]{15,18}-\d{1,9})\Z")


class SalesforceClient:
    """Calls into one org. An answer of 401 drops the token and is tried once more with a new one: nothing was done."""

    def __init__(self, settings: SalesforceSettings, tools: Tools, timeout: tuple[float, float] = TIMEOUT):
        self.settings = settings
        self.tokens = Tokens(settings, tools)
        self._tools = tools
        self._timeout = timeout

    async def call(
        self,
        method: Method,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
    ) -> Answer:
        """Any answer to one request under `/services/data/vXX.X/`. `path` is made of constants and checked ids.

        Raises Misconfigured or Retryable for the token, Retryable when nothing can have arrived, Uncertain when a POST
        may have."""

        def work(org: Any) -> object:
            if method == "POST":
                return org.restful(path, method="POST", json=body, allow_redirects=False)
            return org.restful(path, params=dict(params or {}), allow_redirects=False)

        return await self._with_token(work, writes=method == "POST")

    async def query(self, soql: str) -> Answer:
        """The first page of a query. Raises as `call`."""
        return await self._with_token(lambda org: org.query(soql, allow_redirects=False), writes=False)

    async def pages(self, soql: str) -> AsyncIterator[Answer]:
        """Every page of a query, by `nextRecordsUrl`; the last one may be an answer that is not 2xx."""
        answer = await self.query(soql)
        while True:
            yield answer
            following = members(answer.body).get("nextRecordsUrl") if answer.ok else None
            if following is None:
                return
            path = _MORE.match(str(following))
            if path is None:
                raise Retryable(
                    "bad_page", f"{SYSTEM} names a next page of an unknown form: {str(following)[:80]}"
                )
            answer = await self.call("GET", path.group(1))

    async def _with_token(self, work: Callable[[Any], object], *, writes: bool) -> Answer:
        answer, token = await self._once(work, writes=writes)
        if answer.status == 401:
            self.tokens.drop(token)
            answer, _ = await self._once(work, writes=writes)
        seconds = pause_for(answer)
        if seconds:
            self._tools.pauses.pause(self.settings.id, seconds)
        return answer

    async def _once(self, work: Callable[[Any], object], *, writes: bool) -> tuple[Answer, Token]:
        token = await self.tokens.get()
        try:
            answer = await self._tools.threads.run(
                lambda: self._blocking(token, work), deadline=sum(self._timeout) + QUEUEING
            )
        except NeverStarted as error:
            raise failure_of(NotSent("no thread was free in time"), SYSTEM, writes=writes) from error
        except StillRunning as error:
            raise failure_of(NoAnswer("the whole call took too long"), SYSTEM, writes=writes) from error
        except (NotSent, NoAnswer) as problem:
            raise failure_of(problem, SYSTEM, writes=writes) from problem
        return answer, token

    def _blocking(self, token: Token, work: Callable[[Any], object]) -> Answer:
        host = self.settings.auth.host
        adapter = _Adapter(self._timeout, f"https://{host}", self.settings.api_url)
        # A new session for every call: a kept-alive connection that the other side closed meanwhile would look like a
        # reset after sending, and turn a plain write into a doubtful one.
        with requests.Session() as session:
            session.trust_env = False  # a proxy or netrc of the environment would see, or replace, the token
            session.mount("https://", adapter)
            org: Any = simple.Salesforce(
                session_id=token.secret.reveal(),
                instance=host,
                session=session,
                version=self.settings.api_version,
            )
            try:
                work(org)
            except SalesforceError:
                pass  # any answer of 300 and more; it is in the adapter, with its headers
            except http.RequestException as error:
                if adapter.last is None:  # else it is an answer that is no JSON
                    raise without_answer(error) from error
            except (ValueError, RecursionError):
                pass  # a 2xx that is no JSON
        if adapter.last is None:
            raise NoAnswer("simple-salesforce made no request")
        return adapter.last


class _Adapter(HTTPAdapter):
    """Time-outs for a library that has none, the seam for a simulated org (it insists on https), and the whole last
    answer, whose headers its exceptions drop."""

    def __init__(self, timeout: tuple[float, float], host: str, target: str):
        super().__init__(max_retries=0)
        self._timeouts, self._host, self._target = timeout, host, target
        self.last: Answer | None = None

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        if request.url is not None and self._target != self._host:
            request.url = self._target + request.url.removeprefix(self._host)
        response = super().send(request, stream, self._timeouts, verify, cert, dict(proxies or {}))
        self.last = Answer(
            status=response.status_code,
            body=_json(response),  # reads the answer to its end, so that what breaks off is no answer
            headers={name.lower(): value for name, value in response.headers.items()},
        )
        return response


def without_answer(error: http.RequestException) -> NotSent | NoAnswer:
    """Which of the two a network failure is. Only what failed while connecting was certainly not sent."""
    name = type(error).__name__
    if isinstance(error, (http.ConnectTimeout, http.ProxyError)):
        return NotSent(name)
    first = error.args[0] if isinstance(error, http.ConnectionError) and error.args else None
    reason: object = first.reason if isinstance(first, pool.MaxRetryError) else first
    if isinstance(reason, (pool.NewConnectionError, pool.ConnectTimeoutError)):
        return NotSent(type(reason).__name__)
    return NoAnswer(name)


def _json(response: requests.Response) -> Any:
    content = response.content
    try:
        return response.json() if content else None
    except (ValueError, RecursionError):
        return None
