"""The command line as an operator types it, on a data folder of its own, in this process, through the console script's
own entry."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from hub import __main__ as command_line
from tests.architecture.source import ROOT


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Hub = Callable[..., Answer]


@pytest.fixture
def config_folder(tmp_path: Path) -> Path:
    """What we ship, with the PagerDuty connector alone; a test may write into it."""
    folder = Path(shutil.copytree(ROOT / "config", tmp_path / "config"))
    for file in (folder / "connectors").glob("*.yaml"):
        if file.stem != "pagerduty":
            file.unlink()
    return folder


@pytest.fixture
def bare(
    tmp_path: Path, config_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Hub:
    """`hub WORDS`, before any `hub migrate`."""
    for name in ("HUB_DATABASE_URL", "HUB_REDIS_URL", "HUB_PUBLIC_URL", "HUB_SECRET_KEYS", "HUB_LOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HUB_CONFIG_DIR", str(config_folder))
    monkeypatch.setenv("PAGERDUTY_API_TOKEN", "token")
    monkeypatch.setenv("PAGERDUTY_WEBHOOK_SECRET", "secret")

    def hub(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["hub", *words])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        captured = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int | None)
        return Answer(code or 0, captured.out, captured.err)

    return hub


@pytest.fixture
def hub(bare: Hub) -> Hub:
    assert bare("migrate") == Answer(0, "the schema is up to date\n", "")
    return bare


def succeed(answer: Answer) -> list[str]:
    assert (answer.code, answer.err) == (0, "")
    return answer.lines


def table(lines: list[str]) -> list[list[str]]:
    return [re.split(r"\s{2,}", line) for line in lines]
