"""Signed statements of what was verified and how it was paid, each bound to the one before."""
