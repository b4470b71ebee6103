"""The simulated org, proven by `@jsforce/jsforce-node`, the Salesforce CLI's own client (`make peers` installs it)."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

from tests.absent import needed
from tests.fakes.salesforce import serve

PEERS = Path(__file__).parents[1] / "peers" / "jsforce"


async def test_jsforce_gets_along_with_the_fake() -> None:
    there = shutil.which("node") is not None and (PEERS / "node_modules" / "@jsforce").is_dir()
    needed(there, "@jsforce/jsforce-node (Debian's nodejs, then `make peers`)")
    async with serve() as org:
        org.tokens.add("a-token")
        node = await asyncio.create_subprocess_exec(
            "node", str(PEERS / "salesforce.mjs"), org.url, "a-token",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(node.communicate(), 60)
        assert node.returncode == 0, err.decode()
        found = json.loads(out)
        assert found["id"] in org.rows["Case"]
        assert org.comments(found["id"]) == ["Answer"]
    assert {name: found[name] for name in ("status", "total", "first", "second", "refused")} == {
        "status": "Working",
        "total": 1,
        "first": [201, 201],
        "second": ["DUPLICATE_VALUE", "PROCESSING_HALTED"],
        "refused": "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
    }
