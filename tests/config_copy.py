"""The files of `config/` for tests that spoil a copy of them."""

from __future__ import annotations

import shutil
from pathlib import Path

from hub import settings_file
from hub.settings import Settings
from tests.architecture.source import ROOT

SHIPPED = ROOT / "config"


def copied(where: Path) -> Path:
    """A copy of the files that we ship, to be spoilt."""
    return Path(shutil.copytree(SHIPPED, where / "config"))


def spoil(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert text.count(before) == 1, f"{before!r} stands {text.count(before)} times in {file.name}"
    file.write_text(text.replace(before, after))


def read(folder: Path, **environ: str) -> Settings:
    return settings_file.settings(folder, environ)
