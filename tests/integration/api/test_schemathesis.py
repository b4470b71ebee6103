"""The served description against the application: valid and invalid requests made from it never end in a 5xx, and every
answer is one that the description announces. Requests are made in a thread (hypothesis is synchronous) and sent in the
test's own loop, where the database lives."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core import clock, ids
from core.callbacks import actions as callbacks
from hub.api import schema
from hub.services import Services
from tests.integration.api.conftest import BASE, Tenant, client_for, refund, serving

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 15
DESCRIBED = schemathesis.openapi.from_dict(schema.document(BASE))
OPERATIONS = [operation.ok() for operation in DESCRIBED.get_all_operations()]


class Unreached:
    """Stands at the network's edge: the addresses that are made up here belong to somebody."""

    async def send_test(self, *_: Any) -> callbacks.TestResult:
        return callbacks.TestResult(event_id=ids.new("evt"), delivered_at=clock.now(), status_code=200)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # the stricter about text
async def test_made_up_requests_get_announced_answers(services: Services, tenant: Tenant) -> None:
    harmless = dataclasses.replace(services, callbacks=Unreached())
    async with serving(harmless) as app, client_for(app, tenant.test) as client:
        task = (await client.post("/v1/tasks", json=refund())).json()
        endpoint = (await client.post("/v1/webhooks", json={"url": "https://a.example/"})).json()
        known = {
            "taskId": task["id"],
            "endpointId": endpoint["id"],
            "topUpId": ids.new("tup"),
            "month": "2026-10",
        }
        loop = asyncio.get_running_loop()
        for operation in OPERATIONS:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                check = _check(operation, mode, client, tenant, loop, known)
                if check is not None:
                    await asyncio.to_thread(check)


def _check(
    operation: Any,
    mode: GenerationMode,
    client: httpx.AsyncClient,
    tenant: Tenant,
    loop: asyncio.AbstractEventLoop,
    known: dict[str, str],
) -> Any:
    has_input = operation.body or operation.query or operation.path_parameters or operation.headers
    if mode is GenerationMode.NEGATIVE and not has_input:
        return None

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        if mode is GenerationMode.POSITIVE and case.path_parameters:
            case.path_parameters = {name: known[name] for name in case.path_parameters}
        if mode is GenerationMode.POSITIVE and operation.path == "/tasks" and isinstance(case.body, dict):
            case.body["taskType"] = "unpriced"  # or next to nothing would be created
        kwargs = case.as_transport_kwargs(
            base_url=f"{BASE}/v1", headers={"Authorization": f"Bearer {tenant.test}"}
        )
        kwargs.pop("cookies", None)
        kwargs["content"] = kwargs.pop("data", None)
        try:
            request = client.build_request(**kwargs)
        except (httpx.InvalidURL, UnicodeEncodeError, TypeError):
            return  # the client itself cannot send this
        answer = asyncio.run_coroutine_threadsafe(client.send(request), loop).result(60)
        case.validate_response(answer, checks=CHECKS)

    return check
