"""The file that keeps which payment a quote became."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.rails.strike_payment_ids import FILE_NAME, PaymentIds

QUOTE, PAYMENT = "11fbf0a7-8a66-4e2c-9b0e-5a0c8f2d7c11", "2f6e1c9b-7d0a-4e53-8c71-1a9d3b5e7f22"
OTHER = "ac36a8a9-7e0d-4a6f-9d2c-1f7f3c1b2a10"


def test_what_is_kept_is_found_by_everybody(tmp_path: Path) -> None:
    PaymentIds(tmp_path).remember(QUOTE, PAYMENT)
    PaymentIds(tmp_path).remember(OTHER, OTHER)
    reader = PaymentIds(tmp_path)
    assert (reader.find(QUOTE), reader.find(OTHER)) == (PAYMENT, OTHER)
    assert (reader.find(PAYMENT), reader.find("")) == (None, None)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def test_half_a_line_is_none(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(f"{QUOTE} {PAYMENT[:20]}")
    assert PaymentIds(tmp_path).find(QUOTE) is None


def test_a_full_file_is_put_beside(tmp_path: Path) -> None:
    ids = PaymentIds(tmp_path, most_bytes=50)
    ids.remember(QUOTE, PAYMENT)
    ids.remember(OTHER, OTHER)
    reader = PaymentIds(tmp_path)
    assert (reader.find(QUOTE), reader.find(OTHER)) == (PAYMENT, OTHER)
    assert len((tmp_path / FILE_NAME).read_text().splitlines()) == 1


def test_a_folder_that_is_not_there_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ids = PaymentIds(tmp_path / "none")
    ids.remember(QUOTE, PAYMENT)
    assert ids.find(QUOTE) == PAYMENT
    assert "is not kept over a restart" in caplog.text
    assert PaymentIds(tmp_path / "none").find(QUOTE) is None
