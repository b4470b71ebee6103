"""A stateful Salesforce org over HTTP: tokens, records, composite with roll-back, SOQL as far as the hub writes it,
describe, limits; one scripted fault per coming data request. Shapes follow the REST API Developer Guide."""

from __future__ import annotations

import asyncio
import copy
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from connectors.salesforce.ids import id18
from tests.fakes.salesforce_oauth import App
from tests.fakes.salesforce_schema import FIELDS, PICKLISTS, PREFIX, READ_ONLY

ORG = str(id18("00D5g000001AbCd"))
BOT = str(id18("0055g00000HubBo"))


class Fault(Enum):
    """What goes wrong with one request. "After" means that the org has committed it."""

    NONE = "none"
    SERVER_ERROR_BEFORE = "500 before"
    SERVER_ERROR_AFTER = "500 after"
    RESET_BEFORE = "reset before"
    RESET_AFTER = "reset after"
    TIMEOUT_AFTER = "time-out after"
    LIMIT = "403 REQUEST_LIMIT_EXCEEDED"
    RATE_LIMITED = "429"
    UNAUTHORIZED = "401"
    NOT_FOUND = "404"
    LOCKED = "UNABLE_TO_LOCK_ROW"


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str, fields: list[str] | None = None):
        super().__init__(message)
        self.status, self.body = status, [{"errorCode": code, "message": message, "fields": fields or []}]


class SalesforceOrg:
    """`rows` by object and id; `requests` what composite was sent; `page` records of one page of a query;
    `meanwhile` is what others do just before each composite, `following` a next page that is none."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in PREFIX}
        self.tokens: set[str] = set()
        self.minted = 0
        self.requests: list[dict[str, Any]] = []
        self.script: deque[Fault] = deque()
        self.released = asyncio.Event()
        self.app = App()
        self.meanwhile: Callable[[], None] = lambda: None
        self.page = 2000
        self.following: object = None
        self.url = ""
        self._count = 0

    def next(self, *faults: Fault) -> None:
        self.script.extend(faults)

    def insert(self, kind: str, row: dict[str, Any], *, at: str | None = None, by: str = BOT) -> str:
        if kind not in self.rows:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        for name in row:
            if name not in FIELDS[kind]:
                raise Refused(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {kind}")
        if kind == "HITL_Delivery__c":
            for known, other in self.rows[kind].items():
                if other["Delivery_Key__c"] == row["Delivery_Key__c"]:
                    said = (
                        f"duplicate value found: Delivery_Key__c duplicates value on record with id: {known}"
                    )
                    raise Refused(400, "DUPLICATE_VALUE", said)
        parent = row.get("ParentId", row.get("Case__c"))
        if parent is not None and parent not in self.rows["Case"]:
            raise Refused(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ["ParentId"])
        if len(str(row.get("CommentBody", "")).encode()) > 4000:
            raise Refused(400, "STRING_TOO_LONG", "Comment Body: data value too large", ["CommentBody"])
        self._count += 1
        name = str(id18(f"{PREFIX[kind]}5g{self._count:010d}"))
        stamp = at or _now()
        times = {"CreatedDate": stamp, "LastModifiedDate": stamp, "SystemModstamp": stamp}
        self.rows[kind][name] = {**row, "Id": name, **times, "CreatedById": by, "LastModifiedById": by}
        return name

    def update(
        self, kind: str, name: str, row: dict[str, Any], *, by: str = BOT, at: str | None = None
    ) -> None:
        present = self.rows[kind].get(name)
        if present is None:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        for field, value in row.items():
            if field not in FIELDS[kind]:
                raise Refused(400, "INVALID_FIELD", f"No such column '{field}' on sobject of type {kind}")
            if field in PICKLISTS and value not in PICKLISTS[field]:
                said = f"{field}: bad value for restricted picklist field: {value}"
                raise Refused(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", said, [field])
        stamp = at or _now()
        present.update(row, LastModifiedDate=stamp, SystemModstamp=stamp, LastModifiedById=by)

    def comments(self, case: str) -> list[str]:
        return [
            str(row["CommentBody"]) for row in self.rows["CaseComment"].values() if row["ParentId"] == case
        ]

    def composite(self, body: dict[str, Any]) -> dict[str, Any]:
        self.meanwhile()
        self.requests.append(body)
        kept, results, failed = copy.deepcopy(self.rows), [], False
        for part in body["compositeRequest"]:
            status, said = self._part(part)
            failed = failed or status >= 400
            results.append((part["referenceId"], status, said))
        if failed and body.get("allOrNone"):
            self.rows = kept
            halted = "The transaction was rolled back since another operation in the same transaction failed."
            text = [{"errorCode": "PROCESSING_HALTED", "message": halted}]
            first = next(index for index, one in enumerate(results) if one[1] >= 400)
            results = [one if index == first else (one[0], 400, text) for index, one in enumerate(results)]
        return {
            "compositeResponse": [
                {"referenceId": name, "httpStatusCode": status, "httpHeaders": {}, "body": said}
                for name, status, said in results
            ]
        }

    def _part(self, part: dict[str, Any]) -> tuple[int, Any]:
        steps = part["url"].split("/sobjects/")[1].split("/")
        try:
            if part["method"] == "POST":
                return 201, {"id": self.insert(steps[0], part["body"]), "success": True, "errors": []}
            since = part.get("httpHeaders", {}).get("If-Unmodified-Since")
            row = self.rows[steps[0]].get(steps[1])
            if (
                since
                and row
                and _moment(row["LastModifiedDate"]).replace(microsecond=0) > parsedate_to_datetime(since)
            ):
                raise Refused(412, "PRECONDITION_FAILED", "The record was modified")
            self.update(steps[0], steps[1], part["body"])
        except Refused as refused:
            return refused.status, refused.body
        return 204, None

    def select(self, soql: str) -> list[dict[str, Any]]:
        """FROM one object, WHERE of the forms that the hub writes, ordered as asked by time and id."""
        match = re.match(
            r"SELECT (.+?) FROM (\w+)(?: WHERE (.+?))?(?: ORDER BY (.+?))?(?: LIMIT (\d+))?\Z", soql
        )
        assert match, soql
        names, kind, where, order, limit = match.groups()
        if kind == "Organization":
            return [{"Id": ORG, "IsSandbox": False, "OrganizationType": "Developer Edition"}]
        if kind not in self.rows:
            raise Refused(400, "INVALID_TYPE", f"sObject type '{kind}' is not supported.")
        if kind == "FeedItem" and "Body" in (where or ""):
            raise Refused(400, "INVALID_FIELD", "field 'Body' can not be filtered in a query call")
        columns = names.split(", ")
        for column in columns:
            if column not in FIELDS[kind]:
                raise Refused(400, "INVALID_FIELD", f"No such column '{column}' on entity '{kind}'")
        rows = [row for row in self.rows[kind].values() if _holds(where or "", row)]
        if order:
            key = order.split(",")[0].split()[0]
            rows.sort(key=lambda row: (row[key], row["Id"]), reverse="DESC" in order)
        return [
            {"attributes": {"type": kind}, **{name: row.get(name) for name in columns}}
            for row in rows[: int(limit or 50_000)]
        ]

    # --- HTTP

    @web.middleware
    async def faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.endswith("/oauth2/token"):
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if token not in self.tokens:
                return _refused(Refused(401, "INVALID_SESSION_ID", "Session expired or invalid"))
        else:
            return await handler(request)
        fault = self.script.popleft() if self.script else Fault.NONE
        before = {
            Fault.SERVER_ERROR_BEFORE: Refused(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred."),
            Fault.LIMIT: Refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
            Fault.RATE_LIMITED: Refused(429, "TOO_MANY_REQUESTS", "Slow down"),
            Fault.UNAUTHORIZED: Refused(401, "INVALID_SESSION_ID", "Session expired or invalid"),
            Fault.NOT_FOUND: Refused(404, "NOT_FOUND", "The requested resource does not exist"),
            Fault.LOCKED: Refused(
                400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record"
            ),
        }.get(fault)
        if before is not None:
            refused = _refused(before)
            if fault is Fault.RATE_LIMITED:
                refused.headers["Retry-After"] = "2"
            return refused
        assert request.transport is not None
        if fault is Fault.RESET_BEFORE:
            request.transport.abort()
            return web.Response()
        try:
            response = await handler(request)
        except Refused as refused:
            response = _refused(refused)
        if fault is Fault.RESET_AFTER:
            request.transport.abort()
        if fault is Fault.TIMEOUT_AFTER:
            await self.released.wait()
        if fault is Fault.SERVER_ERROR_AFTER:
            return _refused(Refused(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred."))
        response.headers["Sforce-Limit-Info"] = "api-usage=18/15000"
        return response

    async def token(self, request: web.Request) -> web.Response:
        refusal = self.app.refusal(dict(await request.post()))
        if refusal is not None:
            return web.json_response(refusal, status=400)
        self.minted += 1
        token = f"{ORG[:15]}!token{self.minted}"
        self.tokens.add(token)
        return web.json_response(
            {"access_token": token, "token_type": "Bearer", "id": f"https://x/id/{ORG}/{BOT}"}
        )

    async def post_composite(self, request: web.Request) -> web.Response:
        return web.json_response(self.composite(await request.json()))

    async def create(self, request: web.Request) -> web.Response:
        made = self.insert(request.match_info["kind"], await request.json())
        return web.json_response({"id": made, "success": True, "errors": []}, status=201)

    async def patch(self, request: web.Request) -> web.Response:
        self.update(request.match_info["kind"], request.match_info["id"], await request.json())
        return web.Response(status=204)

    async def get(self, request: web.Request) -> web.Response:
        kind, row = (
            request.match_info["kind"],
            self.rows[request.match_info["kind"]].get(request.match_info["id"]),
        )
        if row is None:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        names = request.query.get("fields", ",".join(FIELDS[kind])).split(",")
        for name in names:
            if name not in FIELDS[kind]:
                raise Refused(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {kind}")
        return web.json_response({"attributes": {"type": kind}, **{name: row.get(name) for name in names}})

    async def query(self, request: web.Request) -> web.Response:
        self.cursor = self.select(request.query["q"])
        return self._page(0)

    async def more(self, request: web.Request) -> web.Response:
        return self._page(int(request.match_info["cursor"].rpartition("-")[2]))

    def _page(self, start: int) -> web.Response:
        end = start + self.page
        body: dict[str, Any] = {"totalSize": len(self.cursor), "done": end >= len(self.cursor)}
        if end < len(self.cursor):
            body["nextRecordsUrl"] = f"/services/data/v65.0/query/01g5g00000Cursor-{end}"
        if self.following is not None:
            body["nextRecordsUrl"] = self.following
        return web.json_response({**body, "records": self.cursor[start:end]})

    async def describe(self, request: web.Request) -> web.Response:
        kind = request.match_info["kind"]
        if kind not in FIELDS or kind not in self.rows:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        fields = [
            {
                "name": name,
                "type": "picklist" if name in PICKLISTS else "string",
                "updateable": name not in READ_ONLY,
                "unique": name == "Delivery_Key__c",
                "restrictedPicklist": name in PICKLISTS,
                "picklistValues": [{"value": one, "active": True} for one in PICKLISTS.get(name, [])],
            }
            for name in FIELDS[kind]
        ]
        return web.json_response({"name": kind, "fields": fields})

    async def limits(self, request: web.Request) -> web.Response:
        return web.json_response({"DailyApiRequests": {"Max": 15000, "Remaining": 14982}})


def _holds(where: str, row: dict[str, Any]) -> bool:
    if match := re.fullmatch(
        r"\(SystemModstamp > (\S+) OR \(SystemModstamp = \S+ AND Id > '(\w+)'\)\)", where
    ):
        return (_moment(row["SystemModstamp"]), row["Id"]) > (_moment(match.group(1)), match.group(2))
    for part in where.split(" AND ") if where else []:
        name, sign, value = part.split(" ", 2)
        if value.startswith("LAST_N_DAYS"):
            continue
        if sign == ">" and not _moment(row[name]) > _moment(value):
            return False
        if sign == "=" and row.get(name) != value.strip("'"):
            return False
    return True


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _refused(refused: Refused) -> web.Response:
    return web.json_response(refused.body, status=refused.status)


@asynccontextmanager
async def serve() -> AsyncIterator[SalesforceOrg]:
    """Run an org on 127.0.0.1 and a free port; hanging answers are let go at the end."""
    org = SalesforceOrg()
    app = web.Application(middlewares=[org.faults])
    data = "/services/data/v{version}"
    app.router.add_post("/services/oauth2/token", org.token)
    app.router.add_post(f"{data}/composite", org.post_composite)
    app.router.add_get(f"{data}/query/", org.query)
    app.router.add_get(f"{data}/query", org.query)
    app.router.add_get(f"{data}/query/{{cursor}}", org.more)
    app.router.add_get(f"{data}/limits", org.limits)
    app.router.add_get(f"{data}/sobjects/{{kind}}/describe", org.describe)
    app.router.add_post(f"{data}/sobjects/{{kind}}", org.create)
    app.router.add_get(f"{data}/sobjects/{{kind}}/{{id}}", org.get)
    app.router.add_patch(f"{data}/sobjects/{{kind}}/{{id}}", org.patch)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    org.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield org
    finally:
        org.released.set()
        await runner.cleanup()
