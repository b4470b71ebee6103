"""Every command that a message, a comment or a page tells somebody to run exists: `hub …` against the command line,
`make …` against the Makefile. A fix that cannot be typed is worse than none."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from hub.__main__ import cli
from tests.architecture.source import ROOT, tracked

_HUB = re.compile(r"`(?:\$ )?hub ([a-z][a-z -]*[a-z])")
_MAKE = re.compile(r"`(?:\$ )?make ([a-z0-9-]+)")
_READ = (".py", ".md", ".yaml", ".yml", ".html", ".toml")


def _found(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    for name in tracked():
        if name.endswith(_READ) and not name.startswith("tests/architecture/test_commands_named"):
            text = (ROOT / name).read_text()
            for match in pattern.finditer(text):
                yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}", match[1]


def _exists(words: list[str]) -> bool:
    """The words name a command as far as commands go; what follows is its arguments."""
    command: click.Command | None = cli
    while isinstance(command, click.Group):
        if not words:
            return True  # a whole group is meant
        command = command.get_command(click.Context(command), words.pop(0))
    return command is not None


def test_every_command_of_the_hub_that_is_named_exists() -> None:
    assert [f"{place}: hub {text}" for place, text in _found(_HUB) if not _exists(text.split())] == []


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert [f"{place}: make {text}" for place, text in _found(_MAKE) if text not in targets] == []


def test_a_wrong_command_is_found() -> None:
    assert not _exists(["connector", "test"])
    assert not _exists(["keys", "make"])
    assert _exists(["keys", "mint", "demo"])
