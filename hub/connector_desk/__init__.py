"""What an operator does with connectors: what the commands of `hub connectors` and the operator's pages share. Nothing
here prints or parses words; `hub/cli/connectors.py` and `hub/pages/operator_connectors.py` do."""
