"""Figures of the hub, each beside a reference measured in the same run; `make bench ONLY=name` runs one."""
