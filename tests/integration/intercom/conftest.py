"""A simulated workspace of Intercom and our writer to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.intercom.reply import IntercomWriter, writer
from tests.fakes.intercom_lab import Lab, lab


@pytest.fixture
async def here() -> AsyncIterator[Lab]:
    async with lab() as made:
        yield made


@pytest.fixture
def ours(here: Lab) -> IntercomWriter:
    return writer(here.settings, here.tools)
