"""The box that `hub demo` prints when everything is up: where to go, with which key, what is fake, where data lies."""

from __future__ import annotations

from pathlib import Path

from hub.demo.prepared import Prepared

LIGHTNING = {
    "sandbox": ", the Lightning node",
    "electrum": "; paid by a real Lightning node",
}


def banner(url: str, folder: Path, prepared: Prepared, seconds: float, *, lightning: str) -> str:
    demo, links = prepared.demo, prepared.links
    lines = [
        f"hub is ready after {seconds:.1f} s   ·   DEMO   ·   TEST MONEY: nothing here is worth anything",
        "",
        f"  worker page    {url}/sign-in/{links.worker}",
        "                 (one use, 15 minutes; switch yourself to available there)",
        f"  operator page  {url}/sign-in/{links.operator}",
        f"  API            {url}/v1      documentation {url}/docs",
        f"  API key        {demo.api_key}",
        f"  webhooks       {url}/demo/catcher/",
        "",
        "  try it:",
        f"    curl -s {url}/v1/tasks -H 'Authorization: Bearer {demo.api_key}' \\",
        '      -H \'Content-Type: application/json\' -d \'{"idempotencyKey": "first", "taskType": "question",',
        '      "payload": {"question": "Is this working?"}, "payout": {"currency": "SATS", "maxAmount": 200}}\'',
        "",
        f"  simulated: PagerDuty (raises an incident now and then), five workers, an AI agent{LIGHTNING[lightning]}",
        f"  data: {folder}   (remove that folder to start afresh)   ·   stop with Ctrl-C",
    ]
    width = max(len(line) for line in lines) + 2
    edge = "─" * width
    return "\n".join([f"┌{edge}┐", *(f"│ {line.ljust(width - 1)}│" for line in lines), f"└{edge}┘"])
