"""HMAC comparison and PagerDuty's header, to the byte."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.pagerduty.verify import identify, presented
from connectors.secret_refs import SecretRef, Secrets, resolve
from connectors.signatures import MAX_PRESENTED, hmac_hex, signed_by
from core.secret import Secret

# Made with openssl's HMAC after PagerDuty/developer-docs docs/webhooks/04-Signatures.md; body of PagerDuty's ping.
BODY = (
    b'{"event":{"id":"01CH754SM17TWPE2V2H4VPBRO7","event_type":"pagey.ping","resource_type":"pagey",'
    b'"occurred_at":"2021-12-08T22:58:53.510Z","agent":null,"client":null,'
    b'"data":{"message":"Hello from your friend Pagey!","type":"ping"}}}'
)
OLD = "b553efa2fa15879265148d0fa1c3191b54eb74e6b030d55ff017515d8d67e83d"
NEW = "59e5c126599cbb81e4e1b93585c606ebf43cce7d7391fbe2b5cb97fdc723604e"
BOTH = [(0, Secret("old_secret")), (1, Secret("new_secret"))]


def test_the_vector() -> None:
    assert len(BODY) == 228
    assert hmac_hex(Secret("old_secret"), BODY) == OLD
    assert hmac_hex(Secret("new_secret"), BODY) == NEW


def test_the_sha1_vector() -> None:
    """Intercom's form, from the same collection of vectors."""
    body = '{"type":"notification_event","topic":"ping","id":null,"data":{"item":{"type":"ping","message":"héllo"}}}'
    assert (
        hmac_hex(Secret("it_client_secret"), body.encode(), "sha1")
        == "b4682dbae420f5546957112b7b98491d43280fd9"
    )


@pytest.mark.parametrize(
    ("header", "values"),
    [
        (f"v1={OLD}", [OLD]),
        (f"v1={OLD},v1={NEW}", [OLD, NEW]),
        (f" v1={OLD} ,  v1={NEW} ", [OLD, NEW]),  # the documentation prints the list wrapped
        (f"v2=zz,v1={NEW}", [NEW]),
        (OLD, []),
        ("v1=", [""]),
        (",,", []),
    ],
)
def test_presented(header: str, values: list[str]) -> None:
    assert presented(header) == values


@pytest.mark.parametrize(
    ("values", "secrets", "position"),
    [
        ([OLD], BOTH, 0),
        ([NEW], BOTH, 1),
        ([NEW, OLD], BOTH, 0),
        ([OLD, NEW], BOTH[1:], 1),
        ([OLD.upper()], BOTH, None),
        ([OLD[:-1]], BOTH, None),
        ([""], BOTH, None),
        ([], BOTH, None),
        ([OLD], [], None),
        ([hmac_hex(Secret("x"), BODY), "é", "\udcff"], BOTH, None),
        (["x"] * MAX_PRESENTED + [OLD], BOTH, None),
        (["x"] * (MAX_PRESENTED - 1) + [OLD], BOTH, 0),
        ([OLD], [(0, Secret("")), (1, Secret("old_secret"))], 1),
    ],
)
def test_signed_by(values: list[str], secrets: list[tuple[int, Secret]], position: int | None) -> None:
    assert signed_by(BODY, values, secrets) == position


def test_an_empty_secret_signs_nothing() -> None:
    with pytest.raises(ValueError, match="signs nothing"):
        hmac_hex(Secret(""), BODY)
    empty = "e" * 64
    assert signed_by(BODY, [empty], [(0, Secret(""))]) is None


def test_rotation_by_date() -> None:
    from datetime import date

    secrets = Secrets(
        [
            SecretRef(ref="env:OLD", secret=Secret("old"), until=date(2026, 12, 1)),
            SecretRef(ref="env:GONE", secret=Secret("")),
            SecretRef(ref="env:NEW", secret=Secret("new")),
        ]
    )

    def active(moment: datetime) -> list[tuple[int, str]]:
        return [(position, secret.reveal()) for position, secret in secrets.active(moment)]

    assert active(datetime(2026, 12, 1, 23, 59, 59, tzinfo=UTC)) == [(0, "old"), (2, "new")]
    assert active(datetime(2026, 12, 2, tzinfo=UTC)) == [(2, "new")]
    assert secrets.current(datetime(2026, 12, 1, tzinfo=UTC)).reveal() == "old"
    assert secrets.current(datetime(2026, 12, 2, tzinfo=UTC)).reveal() == "new"
    assert not Secrets([]).current(datetime(2026, 12, 2, tzinfo=UTC))
    assert repr(secrets) == "Secrets(env:OLD, env:GONE, env:NEW)"


@pytest.mark.parametrize(
    "value",
    ["s3cr3t-literal", "env:", "env:1A", "env:A B", "file:relative", "secret:vault/x", "", 5, None, [], ["env:OK", "s3cr3t-literal"],
     {"secret": "s3cr3t-literal"}, {"secret": "env:OK", "untill": "2026-12-01"}, {"secret": "env:OK", "until": "soon"}, {}],
)  # fmt: skip
def test_only_references(value: object) -> None:
    with pytest.raises(ValueError) as caught:
        resolve(value, {"OK": "x"}, lambda _: None)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (BODY, ("01CH754SM17TWPE2V2H4VPBRO7", "pagey.ping")),
        (b"{}", ("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "unknown")),
        (b"[]", ("sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945", "unknown")),
        (b"", ("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "unknown")),
    ],
)
def test_identify(body: bytes, expected: tuple[str, str]) -> None:
    assert identify(body) == expected


@pytest.mark.parametrize("bad", ['""', "5", "null", '"a b"', '"a\\u0000b"', f'"{"x" * 129}"', '"é"'])
def test_an_odd_id_is_replaced_by_the_digest(bad: str) -> None:
    delivery_id, event_type = identify(f'{{"event":{{"id":{bad},"event_type":{bad}}}}}'.encode())
    assert delivery_id.startswith("sha256:")
    assert event_type == "unknown"
