"""Runs a routing policy against simulated people, with the functions that route live tasks."""
