"""A task: one question to people, with a deadline, a price and the schema of its answer."""
