"""PagerDuty's REST API v2 through pdpyras, with that library's own retries switched off. The only file that imports
it; driven by `api.py`."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any, Literal, cast

from requests import exceptions as http
from urllib3 import exceptions as pool

from connectors.calls import Answer, NoAnswer, NotSent, seconds_to_wait
from connectors.threads import NeverStarted, StillRunning, Threads
from core.replies.ticketing import Call
from core.secret import Secret

with warnings.catch_warnings():
    # 5.4.1 announces its successor at import. The successor refuses http:// and with it every loopback test.
    warnings.filterwarnings("ignore", message='The package "pdpyras" is deprecated', category=UserWarning)
    import pdpyras  # pyright: ignore[reportMissingTypeStubs] -- it ships none; everything below goes through Any

_pdpyras: Any = cast("Any", pdpyras)
TIMEOUT = (3.0, 10.0)  # seconds to connect, seconds between two bytes of the answer
QUEUEING = 7.0  # seconds a call may wait for a thread on top of its time-outs
BARE_429 = (
    15.0  # seconds without calls after a 429 that does not say how long (docs/REST-API/04-Rate-Limits.md)
)

Method = Literal["GET", "POST", "PUT", "DELETE"]
Params = dict[str, Any]


class PagerDutyClient:
    """Calls with one account's token. `token` is asked before every call, so that a rotated one counts at once;
    `pause` is told for how many seconds PagerDuty wants no further calls."""

    def __init__(
        self,
        url: str,
        token: Callable[[], Secret],
        sender: str,
        threads: Threads,
        timeout: tuple[float, float] = TIMEOUT,
        pause: Callable[[float], None] | None = None,
    ):
        self._url = url.rstrip("/")
        self._token = token
        self._sender = sender
        self._threads = threads
        self._timeout = timeout
        self._pause = pause

    async def call(
        self, method: Method, path: str, body: dict[str, Any] | None = None, params: Params | None = None
    ) -> Answer:
        """One request, sent once. `path` is made of constants and checked ids; a list among `params` is sent as
        repeated `name[]`.

        Raises NotSent when nothing can have arrived, NoAnswer when something may have."""
        try:
            answer = await self._threads.run(
                lambda: self._blocking(method, path, body, params), deadline=sum(self._timeout) + QUEUEING
            )
        except NeverStarted as error:
            raise NotSent("no thread was free in time") from error
        except StillRunning as error:
            raise NoAnswer("the whole call took too long") from error
        wait = wait_wanted(answer)
        if wait is not None and self._pause is not None:
            self._pause(wait)
        return answer

    def preview(self, method: str, path: str, body: dict[str, Any]) -> Call:
        """The request as `call` would send it, without the token."""
        headers = {
            "accept": "application/vnd.pagerduty+json;version=2",
            "content-type": "application/json",
            "from": self._sender,
        }
        return Call(method=method, url=self._url + path, headers=headers, body=json.dumps(body).encode())

    def _blocking(self, method: str, path: str, body: dict[str, Any] | None, params: Params | None) -> Answer:
        # A new session for every call: a kept-alive connection that the other side closed meanwhile would look like
        # a reset after sending, and turn a plain write into a doubtful one.
        with self._session() as session:
            try:
                response: Any = session.request(method, path, json=body, params=params, allow_redirects=False)
            except _pdpyras.PDHTTPError as error:  # it raises for 401 whatever one asks for
                response = error.response
            except _pdpyras.PDClientError as error:
                raise without_answer(error.__cause__) from error
        return Answer(
            status=response.status_code,
            body=_json(response),
            headers={str(name).lower(): str(value) for name, value in response.headers.items()},
        )

    def _session(self) -> Any:
        session = _pdpyras.APISession(self._token().reveal(), default_from=self._sender)
        session.url = self._url
        session.timeout = self._timeout
        # It would send a POST again after a time-out, and wait for ever on 429 without reading ratelimit-reset
        # (measured on 5.4.1: two notes). The outbox is the only retry layer; -2 means "return it at once".
        session.max_network_attempts = 0
        session.retry[429] = -2
        if self._url.startswith("http://"):
            session.trust_env = False  # only loopback is plain HTTP, and a proxy has no business there
        return session


def wait_wanted(answer: Answer) -> float | None:
    """Seconds without calls that an answer asks for: after a 429, or when it was the last one of this minute.
    `ratelimit-reset` is seconds to go (docs/REST-API/04-Rate-Limits.md)."""
    reset = seconds_to_wait(answer.headers, "ratelimit-reset", "retry-after")
    if answer.status == 429:
        return reset if reset is not None else BARE_429
    return reset if answer.headers.get("ratelimit-remaining", "").strip() == "0" else None


def without_answer(cause: BaseException | None) -> NotSent | NoAnswer:
    """Which of the two a network failure of requests is. Only what failed while connecting was certainly not sent."""
    name = type(cause).__name__
    if isinstance(cause, (http.ConnectTimeout, http.ProxyError)):
        return NotSent(name)
    first = cause.args[0] if isinstance(cause, http.ConnectionError) and cause.args else None
    reason = first.reason if isinstance(first, pool.MaxRetryError) else first
    if isinstance(reason, (pool.NewConnectionError, pool.ConnectTimeoutError)):
        return NotSent(type(reason).__name__)
    return NoAnswer(name)


def _json(response: Any) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None
