"""`mapping`: what a delivery means (the filters of the routes, the key, the task), for every delivery that the shipped
connector files make a task of in their own tests. Beside it the decoding of the same bytes, alone."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import msgspec

from connectors.config import ConnectorConfig, load
from core.errors import Misconfigured
from core.intake.envelope import Escalation, InboundDelivery
from tests.bench.deliveries import CONFIG
from tests.bench.harness import median, percentile, say
from tests.bench.intake_mixed import secrets_of_files

ROUNDS, CALLS = 60, 20  # medians over rounds; both arms go on in turns within one


def run() -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(CONFIG.glob("*.yaml")):
        config = load(path.read_text(), path.name, secrets_of_files())
        for test in config.settings.tests:
            if test.fixture is not None and test.expect.action == "task":
                name = f"{config.settings.connector}: {test.expect.route} ({test.fixture})"
                found[name] = _measured(config, test.fixture, test.ctx)
                say(f"{name}: {found[name]['p50_us']:.0f} us, decoding {found[name]['decode_us']:.1f} us")
    worst = max(found, key=lambda name: found[name]["p50_us"])
    vendors = sorted({name.partition(":")[0] for name in found})
    return {
        "name": "mapping",
        "value": found[worst]["p50_us"],
        "unit": f"us, median of the slowest task ({worst})",
        "reference": found[worst]["decode_us"],
        "ratio": found[worst]["p50_us"] / found[worst]["decode_us"],
        "aim": "< 500 us for each",
        "within_aim": all(one["p50_us"] < 500 for one in found.values()),
        "vendors": vendors,
        "events": found,
        "method": "normalize() of the shipped files on the deliveries of their own tests (with the context that a test "
        f"gives: read a second time), against msgspec.json.decode of the same bytes; {ROUNDS} rounds of {CALLS} calls "
        "each by turns, processor time of the one thread, medians of the rounds' means",
    }


def _measured(config: ConnectorConfig, fixture: str, ctx: dict[str, Any] | None) -> dict[str, Any]:
    settings, normalize = config.settings, config.connector.normalize
    body = (CONFIG / "fixtures" / fixture).read_bytes()
    delivery = InboundDelivery(delivery_id="bench", event_type="bench", body=body, headers={}, verified_by=0)

    def mapped() -> Any:
        return normalize(settings, delivery, settings.inbound.routes, ctx)

    if not isinstance(mapped(), Escalation):
        raise Misconfigured("bench", f"{config.file_name}: {fixture} makes no task: {mapped()}")
    ours: list[float] = []
    decoding: list[float] = []
    gc.collect()
    for number in range(ROUNDS):
        arms = [(ours, mapped), (decoding, lambda: msgspec.json.decode(body))]
        for times, act in arms if number % 2 == 0 else reversed(arms):
            times.append(_microseconds(act))
    return {
        "p50_us": median(ours),
        "p99_us": percentile(ours, 99),
        "decode_us": median(decoding),
        "bytes": len(body),
    }


def _microseconds(act: Callable[[], Any]) -> float:
    """Of this thread on a processor: what a busy machine does in between is not part of the mapping."""
    began = time.thread_time()
    for _ in range(CALLS):
        act()
    return (time.thread_time() - began) / CALLS * 1e6
