"""Sealing and rotation of keys; roles as data."""

from __future__ import annotations

import pytest

from core.access.keys import well_formed
from core.access.roles import SCOPES, Role, Scope, may
from core.access.sealing import Sealer, new_key
from core.errors import Misconfigured
from core.secret import random_token


def test_what_is_sealed_opens_again_and_shows_nothing() -> None:
    sealer = Sealer([new_key()])
    sealed = sealer.seal("whsec_grün")

    assert sealer.unseal(sealed) == "whsec_grün"
    assert "whsec" not in sealed
    assert sealer.seal("whsec_grün") != sealed
    assert repr(sealer) == "Sealer(***)"


def test_a_new_key_comes_first_and_the_old_one_leaves_after_resealing() -> None:
    old, new = new_key(), new_key()
    sealed = Sealer([old]).seal("secret")
    both = Sealer([new, old])

    assert both.unseal(sealed) == "secret"
    resealed = both.reseal(sealed)
    assert Sealer([new]).unseal(resealed) == "secret"
    with pytest.raises(Misconfigured):
        Sealer([new]).unseal(sealed)
    with pytest.raises(Misconfigured):
        Sealer([new]).reseal(sealed)


def test_keys_that_are_none() -> None:
    for keys in ([], [""], ["short"], ["ä" * 44], [new_key()[:-2]]):
        with pytest.raises(Misconfigured) as caught:
            Sealer(keys)
        assert caught.value.code == "sealing_key"
        assert not keys or not keys[0] or keys[0] not in str(caught.value)


def test_tampered_text_does_not_open() -> None:
    sealer = Sealer([new_key()])
    sealed = sealer.seal("secret")
    for bad in ("", "x", sealed[:-4], sealed[:20] + ("A" if sealed[20] != "A" else "B") + sealed[21:]):
        with pytest.raises(Misconfigured):
            sealer.unseal(bad)


def test_roles() -> None:
    assert set(SCOPES) == set(Role)
    assert may("worker", Scope.ANSWER)
    assert not may("worker", Scope.CONSOLE)
    assert may("operator", Scope.MONEY)
    assert not may("operator", Scope.ANSWER)
    assert [scope for scope in Scope if may("viewer", scope)] == [Scope.CONSOLE]
    assert not any(may("emperor", scope) for scope in Scope)


def test_the_form_of_keys() -> None:
    assert all(
        well_formed(random_token(f"{prefix}_{environment}_"))
        for prefix in ("ek", "hr")
        for environment in ("live", "test")
    )
    for wrong in ("", "ek_live_", "ek_prod_" + "a" * 43, "ek_live_" + "a" * 42, "ek_live_" + "a" * 43 + "\n"):
        assert not well_formed(wrong)
