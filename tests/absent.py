"""What a test needs of the machine and the project cannot bring as a wheel. Where it is missing the test is left out and
says so; under CI=true that is a failure, because nobody would notice."""

from __future__ import annotations

import os

import pytest


def needed(present: bool, what: str) -> None:
    """Called first in a test or a fixture. `what` names the package and how to get it."""
    if present:
        return
    said = f"{what} is missing: not tested"
    if os.environ.get("CI") == "true":
        pytest.fail(said)
    pytest.skip(said)
