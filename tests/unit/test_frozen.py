"""A process that is ready no longer walks through what it has imported."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import gc
import core.errors
from hub.frozen import freeze
freeze()
held = gc.get_freeze_count()
ring = []
ring.append(ring)
del ring
print(held > 1_000, gc.collect() >= 1, len(gc.get_objects()) < held)
"""


def test_what_is_imported_is_out_of_the_collectors_way() -> None:
    """And what is made afterwards is collected as ever."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "True"]
