"""Which follower this process has for a database: a file of its own, so that who has none does not load the bitmaps."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from core.db.engine import Database

if TYPE_CHECKING:
    from core.routing.directory.follow import Follower

followers: WeakKeyDictionary[Database, Follower] = WeakKeyDictionary()


def follower_of(database: Database) -> Follower | None:
    """This process's follower of that database, when it has one that is up to date."""
    found = followers.get(database)
    return found if found is not None and found.fresh else None
