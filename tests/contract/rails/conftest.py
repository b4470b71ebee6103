"""The lab whose levers go beyond payments, for each rail that has one; used by `test_history.py` and `test_receiving.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import pytest

from tests.contract.rails.labs import LABS, AccountLab, SandboxLab
from tests.contract.rails.labs_nodes import BooksLab
from tests.contract.rails.labs_wallets import WalletLab


def has_levers(name: str) -> bool:
    maker = LABS[name]
    return isinstance(maker, type) and issubclass(maker, SandboxLab | BooksLab | WalletLab)


@pytest.fixture(params=sorted(filter(has_levers, LABS)))
async def account(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountLab]:
    lab = LABS[request.param](tmp_path)
    async with lab if isinstance(lab, AbstractAsyncContextManager) else nullcontext():
        assert isinstance(lab, AccountLab)
        yield lab
