"""The scoped app's own scripts, run by Node on stand-ins for ServiceNow's API: their requests are verified by the
standardwebhooks package and by the hub, and the hub's writes are answered by their endpoint."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook

from connectors.connector import InboundRequest
from connectors.secret_refs import SecretRef, Secrets
from connectors.servicenow.normalize import normalize
from connectors.servicenow.reply import writer
from connectors.servicenow.scripted import outcome_of
from connectors.servicenow.settings import ServiceNowSettings
from connectors.servicenow.verify import verify
from core import clock
from core.errors import Rejected
from core.intake.envelope import Escalation
from core.replies.ticketing import Action, Write
from core.secret import Secret
from tests.absent import needed
from tests.integration.servicenow_kit import HubTools, settings_for, write_for

PACKAGE = Path(__file__).parents[2] / "connectors" / "servicenow" / "package"
NODE = shutil.which("node")


@pytest.fixture(autouse=True)
def node_is_there() -> None:
    needed(NODE is not None, "Node (Debian's nodejs)")


SECRET = "whsec_" + base64.b64encode(b"of this test, thirty-two bytes..").decode()
OLD = "whsec_" + base64.b64encode(b"the former one").decode()
RECORD = "9d385017c611228701d22104cc95c371"


def node(script: str, *arguments: str, stdin: str = "") -> str:
    assert NODE is not None
    done = subprocess.run(
        [NODE, script, *arguments],
        cwd=PACKAGE / "test",
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def emitted(*secrets: str) -> InboundRequest:
    sent = json.loads(node("emit.mjs", secrets[0], str(clock.unix()), *secrets[1:]))
    headers = {name.lower(): str(value) for name, value in sent["headers"].items()}
    return InboundRequest(headers=headers, body=sent["body"].encode())


def configured(*secrets: str) -> ServiceNowSettings:
    settings = settings_for("http://127.0.0.1:9")
    held = Secrets([SecretRef(ref=f"env:S{index}", secret=Secret(one)) for index, one in enumerate(secrets)])
    signed = msgspec.structs.replace(settings.inbound.signed_json, secrets=held)
    return msgspec.structs.replace(
        settings, inbound=msgspec.structs.replace(settings.inbound, signed_json=signed)
    )


def test_the_apps_own_tests_pass() -> None:
    assert "# fail 0" in node("--test", "--test-reporter=tap", "app.test.mjs")


@pytest.mark.parametrize("secrets", [[SECRET], [SECRET, OLD], [OLD, SECRET]])
def test_standard_webhooks_and_the_hub_take_what_the_app_signs(secrets: list[str]) -> None:
    request = emitted(*secrets)
    for secret in secrets:
        Webhook(secret).verify(request.body, dict(request.headers))
    settings = configured(SECRET)
    [delivery] = verify(settings, request)
    assert delivery.delivery_id == request.headers["webhook-id"]
    meaning = normalize(settings, delivery, settings.inbound.routes)
    assert isinstance(meaning, Escalation)
    assert meaning.route == "asked"
    assert meaning.task["title"] == "Ist das für \U0001f600 richtig?"
    assert meaning.task["payload"]["priority"] == "1 - Critical"
    assert meaning.origin.revision == 7


async def answered(write: Write, unwritable: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The endpoint's outcome, the same both times, and the record's notes."""
    hub = HubTools()
    [call] = writer(settings_for("http://127.0.0.1:9", "scripted_rest"), hub.tools).preview(write)
    await hub.close()
    assert call.url.endswith(f"/api/x_hitl_hub/results/{write.key}")
    said = json.loads(
        node(
            "answer.mjs",
            stdin=json.dumps({"key": write.key, "body": json.loads(call.body), "unwritable": unwritable}),
        )
    )
    first, second = said["answers"]
    assert first == second or first["result"]["state"] == "refused"  # then it is tried again
    assert first["status"] == 200
    return first["result"], said["notes"]


NOTE = Action(kind="note", body="Verified by 2 people.")
RESOLVE = Action(kind="resolve", body={"state": "6", "close_code": "Solution provided", "close_notes": "so"})


async def test_the_endpoint_takes_what_the_hub_writes() -> None:
    write = write_for(RECORD, NOTE, RESOLVE)
    result, notes = await answered(write, [])
    assert outcome_of(write, result) == f"{RECORD}:4"
    assert notes == [f"Verified by 2 people.\n\n{write.marker}"]


async def test_the_endpoint_tells_what_it_left() -> None:
    write = write_for(RECORD, NOTE, RESOLVE)
    result, _ = await answered(write, ["close_notes"])
    assert outcome_of(write, result).endswith("close_notes was not written; check the write ACL)")
    result, notes = await answered(write, ["work_notes"])
    assert notes == []
    with pytest.raises(Rejected, match="work_notes"):
        outcome_of(write, result)
