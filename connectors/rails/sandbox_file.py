"""The sandbox's one SQLite file: schema, transactions and the node's key. Used by the sandbox rail, its wallets and its
controls, from several threads and processes at once; every call opens its own connection."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import coincurve

from core import clock

BUSY_TIMEOUT_S = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS node (id INTEGER PRIMARY KEY CHECK (id = 1), private_key BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS invoices (
    payment_hash TEXT PRIMARY KEY,
    wallet TEXT NOT NULL,
    preimage TEXT NOT NULL,
    amount_msat INTEGER NOT NULL CHECK (amount_msat > 0),
    bolt11 TEXT NOT NULL,
    comment TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    paid_at_ms INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS ix_invoices_wallet ON invoices (wallet, paid_at_ms);
CREATE INDEX IF NOT EXISTS ix_invoices_unpaid ON invoices (expires_at_ms) WHERE paid_at_ms IS NULL;
CREATE TABLE IF NOT EXISTS payments (
    payment_hash TEXT PRIMARY KEY,
    bolt11 TEXT NOT NULL,
    amount_msat INTEGER NOT NULL,
    fee_msat INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('in_flight', 'settled', 'failed')),
    attempts INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    due_at_ms INTEGER,            -- when it decides itself; NULL in flight: held until released
    verdict TEXT,                 -- what it will decide: settled or failed
    preimage TEXT,
    reason TEXT
) STRICT;
-- What others have paid to an invoice of the rail's own (wallet ':hub').
CREATE TABLE IF NOT EXISTS receipts (
    payment_hash TEXT PRIMARY KEY,
    amount_msat INTEGER NOT NULL CHECK (amount_msat > 0),
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS ix_payments_due ON payments (due_at_ms) WHERE state = 'in_flight';
-- Append only and without a unique key on the hash, so that paying twice would show.
CREATE TABLE IF NOT EXISTS settlements (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    payment_hash TEXT NOT NULL,
    amount_msat INTEGER NOT NULL,
    fee_msat INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS ix_settlements_hash ON settlements (payment_hash);
CREATE TABLE IF NOT EXISTS faults (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    after_ms INTEGER NOT NULL
) STRICT;
"""


class SandboxFile:
    """Opens (and on first use makes, readable by its owner alone) the file at `path`."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite gives its -wal and -shm the mode of the file itself.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._prepare()
        self.private_key = self._private_key()
        self.node_id = coincurve.PrivateKey(self.private_key).public_key.format().hex()

    @contextmanager
    def read(self) -> Generator[sqlite3.Connection]:
        """A connection for one or a few SELECTs. Raises sqlite3.Error."""
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        with closing(connection):
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = FULL")
            yield connection

    @contextmanager
    def write(self) -> Generator[sqlite3.Connection]:
        """One transaction with the write lock held from its start; on disk when the block is left without error."""
        with self.read() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _prepare(self) -> None:
        end = clock.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                with self.read() as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.executescript(_SCHEMA)
            except sqlite3.OperationalError:
                # The change to WAL does not wait for a lock (sqlite.org/wal.html): two processes starting at once.
                if clock.monotonic() > end:
                    raise
                time.sleep(0.02)
            else:
                return

    def _private_key(self) -> bytes:
        with self.write() as connection:
            connection.execute("INSERT OR IGNORE INTO node VALUES (1, ?)", (secrets.token_bytes(32),))
            return bytes(connection.execute("SELECT private_key FROM node").fetchone()[0])
