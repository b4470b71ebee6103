"""Each known bug that `make crash` puts into a copy of the hub still has its place in the source, and the tests that must
find it still stand where it says: told here in a moment, there only after a quarter of an hour."""

from __future__ import annotations

import pytest

from tests.architecture.source import ROOT
from tests.chaos.test_payout_mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_place_and_its_killers_are_there(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    file, _, chosen = mutant.killers
    _, name = chosen.split(" and ")
    assert name in (ROOT / file).read_text()
