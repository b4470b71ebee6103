"""What is in the repository: nothing of the machine or network it was made on, nothing that should not be published."""

from __future__ import annotations

import re

import pytest

from tests.architecture.source import ROOT, tracked

# Put together so that this file does not contain what it looks for.
FORBIDDEN = {
    "a path of somebody's machine": re.compile(
        r"(?<![\w.])/(?:wo" + r"rk|ro" + r"ot|home/\w+|Users/\w+)/(?!lib\b)\w"
    ),
    "a package registry's host": re.compile(
        r"(?:pypi\.o" + r"rg|pythonhosted\.o" + r"rg|registry\.npmjs|proxy\.golang)"
    ),
    "a private key": re.compile(r"-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE" + r" KEY-----"),
}
LOCK = "uv.lock"  # the lock file names the public registry for every package; that is what it is for

# The top level is fixed (README.md explains each).
TOP_LEVEL = {
    ".ci",
    ".docker",
    ".dockerignore",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "config",
    "connectors",
    "core",
    "docker-compose.yml",
    "hub",
    "pyproject.toml",
    "tests",
    "uv.lock",
}

pytestmark = pytest.mark.skipif(not tracked(), reason="not a git work tree, so nothing is tracked")


def test_nothing_of_this_machine_is_in_a_file() -> None:
    found: list[str] = []
    for name in tracked():
        text = (ROOT / name).read_bytes().decode(errors="replace")
        for what, pattern in FORBIDDEN.items():
            if name == LOCK and "registry" in what:
                continue
            found += [
                f"{name}:{text.count(chr(10), 0, m.start()) + 1}: {what}: {m[0]}"
                for m in pattern.finditer(text)
            ]
    assert found == []


def test_the_lock_file_names_the_public_registry_alone() -> None:
    registries = set(re.findall(r'registry = "([^"]+)"', (ROOT / LOCK).read_text()))
    assert registries == {"https://pypi.o" + "rg/simple"}


def test_the_top_level_is_what_the_readme_says() -> None:
    assert sorted({name.split("/")[0] for name in tracked()} - TOP_LEVEL) == []


def test_no_file_is_large() -> None:
    """A large file makes every clone slow for ever; fetch or make it instead."""
    assert [name for name in tracked() if (ROOT / name).stat().st_size > 2_000_000] == []
