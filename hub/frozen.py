"""What a process holds once it has started stays for its life: Python's collector need not walk through it again and again.
Called by each process when it is ready, and by the benchmark of what they do."""

from __future__ import annotations

import gc


def freeze() -> None:
    """The 150,000 objects of what is imported cost 75 ms of processor time whenever the oldest generation is collected, in the
    middle of somebody's request or answer."""
    gc.collect()
    gc.freeze()
