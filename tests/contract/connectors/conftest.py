"""Every test that asks for `name` runs once for each connector of the registry."""

from __future__ import annotations

import pytest

from connectors.registry import CONNECTORS


@pytest.fixture(params=sorted(CONNECTORS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)
