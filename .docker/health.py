"""Tells a container's health by its exit code: `health.py web` asks /livez, `health.py worker QUEUE` looks for the sign of
life that a worker leaves in Valkey every ten seconds. Run by HEALTHCHECK in the image and in docker-compose.yml.

A worker without Valkey shows as unhealthy and still works its jobs off, from the sweep: restarting it would not help,
and Compose does not."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

SECONDS = 4


def web() -> bool:
    port = os.environ.get("HUB__SERVER__PORT", "8000")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=SECONDS) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def worker(queue: str) -> bool:
    import redis  # only workers need it

    try:
        client = redis.from_url(
            os.environ["HUB_REDIS_URL"], socket_timeout=SECONDS, socket_connect_timeout=SECONDS
        )
        with client:
            return client.exists(f"hub:{queue}:health") == 1
    except (redis.RedisError, OSError):
        return False


def main(arguments: list[str]) -> int:
    match arguments:
        case ["web"]:
            healthy = web()
        case ["worker", queue]:
            healthy = worker(queue)
        case _:
            sys.stderr.write("usage: health.py web | worker QUEUE\n")
            return 2
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
