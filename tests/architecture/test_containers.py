"""docker-compose.yml and .docker/ held against the code, without Docker: commands, variables, paths, dependencies between
services, the user and the read-only file system, and the health checks, which are run. Building and starting the image
needs a Docker engine and is not tested here."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import redis
import yaml

from core.outbox.rows import WORKERS
from hub import settings_file
from hub.__main__ import cli
from hub.embedded import valkey
from hub.jobs.queue import queue_name
from tests.architecture.config_meanings import VARIABLES
from tests.architecture.source import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "humanrail-hub"}
DOCKERFILE = (ROOT / ".docker" / "Dockerfile").read_text()
INSTRUCTIONS = [
    tuple(line.split(None, 1))
    for line in re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines()
    if re.match(r"[A-Z]+ ", line)
]
HEALTH = ROOT / ".docker" / "health.py"


def example(name: str) -> dict[str, str]:
    """The variables of an example of an env file."""
    lines = (ROOT / ".docker" / f"{name}.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def image_environment() -> dict[str, str]:
    """What the last stage of the Dockerfile sets for a container."""
    stage = INSTRUCTIONS[max(n for n, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM") :]
    pairs = " ".join(rest for word, rest in stage if word == "ENV").split()
    return dict(pair.split("=", 1) for pair in pairs)


def test_the_services_are_those_of_the_design() -> None:
    assert list(SERVICES) == ["postgres", "valkey", "migrate", "web", "worker", "money"]


@pytest.mark.parametrize("name", OURS)
def test_a_command_is_a_command_of_the_hub(name: str) -> None:
    command, *arguments = OURS[name]["command"]
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    found.make_context(command, list(arguments))  # raises for an option or a value that it does not take


def test_every_queue_has_a_worker() -> None:
    queues = [service["command"][2] for service in OURS.values() if service["command"][0] == "work"]
    assert sorted(queues) == sorted(WORKERS)


def test_every_variable_is_a_setting() -> None:
    """Those of the hub are known to it, and together they make settings that it accepts."""
    given = {**image_environment(), **example("hub"), **COMPOSE["x-hub"]["environment"]}
    ours = {name: value for name, value in given.items() if name.startswith("HUB")}
    assert [name for name in ours if not name.startswith("HUB__") and name not in VARIABLES] == []
    settings = settings_file.settings(ROOT / "config", ours)
    assert settings.database_url == "postgresql://hub:change-me@postgres/hub"
    assert settings.queue.url == "redis://valkey:6379/0"
    assert settings.server.host == "0.0.0.0"  # inside the container; the host publishes it on its loopback
    assert settings.data_dir == "/var/lib/hub"


def test_every_other_variable_is_one_of_a_connector() -> None:
    files = "".join(path.read_text() for path in (ROOT / "config" / "connectors").glob("*.yaml"))
    wanted = set(re.findall(r"env:([A-Z_]+)", files))
    assert {name for name in example("hub") if not name.startswith("HUB")} == wanted


def test_the_database_of_both_files_is_one() -> None:
    postgres = example("postgres")
    url = f"postgresql://{postgres['POSTGRES_USER']}:{postgres['POSTGRES_PASSWORD']}@postgres/{postgres['POSTGRES_DB']}"
    assert example("hub")["HUB_DATABASE_URL"] == url


@pytest.mark.parametrize("name", OURS)
def test_a_container_can_write_nowhere_but_its_volume(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    writable = [volume for volume in service["volumes"] if not volume.endswith(":ro")]
    assert writable == [f"hub-data:{image_environment()['HUB_DATA_DIR']}"]
    assert service["env_file"] == [".docker/hub.env"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_it_needs(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "test" in SERVICES[needed]["healthcheck"]
        else:
            assert how["condition"] == "service_completed_successfully"
            assert SERVICES[needed]["restart"] == "no"


def test_nothing_starts_before_the_schema_is_there() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("web", "worker", "money"):
        assert SERVICES[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "valkey": {"condition": "service_healthy"},
        }


def test_valkey_keeps_what_it_is_told() -> None:
    command = SERVICES["valkey"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert SERVICES["valkey"]["volumes"] == ["valkey-data:/data"]


def test_only_the_loopback_of_the_host_is_published() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"web": [f"127.0.0.1:8000:{image_environment()['HUB__SERVER__PORT']}"]}


def test_every_image_names_its_version() -> None:
    images = [service["image"] for service in SERVICES.values() if service not in OURS.values()]
    images += [rest.split()[0] for word, rest in INSTRUCTIONS if word == "FROM"]
    assert [image for image in images if not re.search(r":\d", image)] == []


def test_every_volume_is_used() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {volume for volume in used if not volume.startswith(".")} == set(COMPOSE["volumes"])


def test_the_image_is_built_from_the_lock_file_in_two_stages() -> None:
    assert sum(word == "FROM" for word, _ in INSTRUCTIONS) == 2
    runs = [rest for word, rest in INSTRUCTIONS if word == "RUN" and rest.startswith("uv sync")]
    assert len(runs) == 2
    assert all("--locked" in run and "--no-dev" in run for run in runs)


def test_what_is_copied_exists_and_reaches_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for word, rest in INSTRUCTIONS:
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in ignored


def test_the_image_does_not_run_as_root() -> None:
    assert [rest for word, rest in INSTRUCTIONS if word == "USER"] == ["10001:10001"]


def test_secrets_are_kept_out_of_git_and_of_the_image() -> None:
    files = {one for service in SERVICES.values() for one in service.get("env_file", [])}
    kept_out = (ROOT / ".docker" / ".gitignore").read_text().splitlines()
    assert files == {".docker/hub.env", ".docker/postgres.env"}
    assert {Path(one).name for one in files} <= set(kept_out)
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


# The health checks, run as the containers run them.


def commands() -> list[list[str]]:
    [image] = [json.loads(rest.split("CMD", 1)[1]) for word, rest in INSTRUCTIONS if word == "HEALTHCHECK"]
    return [image, *(OURS[name]["healthcheck"]["test"][1:] for name in ("worker", "money"))]


def run(command: list[str], environment: dict[str, str]) -> int:
    assert command[:2] == ["python", "/opt/health.py"]
    done = subprocess.run(
        [sys.executable, str(HEALTH), *command[2:]],
        env={**os.environ, **environment},
        timeout=20,
        check=False,
    )
    return done.returncode


@pytest.fixture
def answering() -> Iterator[tuple[int, list[str]]]:
    """A server that answers 200 to /livez alone, its port and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, asked
        server.shutdown()
        thread.join()


def test_the_web_process_is_healthy_while_it_answers(answering: tuple[int, list[str]]) -> None:
    port, asked = answering
    assert run(commands()[0], {"HUB__SERVER__PORT": str(port)}) == 0
    assert asked == ["/livez"]


def test_the_web_process_is_unhealthy_when_it_does_not_answer() -> None:
    assert run(commands()[0], {"HUB__SERVER__PORT": "1"}) == 1


def test_a_worker_is_healthy_while_its_sign_of_life_is_there(tmp_path: Path) -> None:
    with valkey.start(tmp_path) as server, redis.from_url(server.url) as client:
        for command, queue in zip(commands()[1:], WORKERS, strict=True):
            assert run(command, {"HUB_REDIS_URL": server.url}) == 1
            client.psetex(f"{queue_name(queue)}:health", 11_000, "alive")
            assert run(command, {"HUB_REDIS_URL": server.url}) == 0


def test_a_worker_is_unhealthy_without_valkey(tmp_path: Path) -> None:
    assert run(commands()[1], {"HUB_REDIS_URL": f"unix://{tmp_path}/gone.sock"}) == 1
