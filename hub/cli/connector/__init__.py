"""The larger commands of `hub connectors`, one file each; gathered in `hub/cli/connectors.py`."""
