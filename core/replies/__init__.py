"""Answers that go back into tickets: written once, looked for before they are written again."""
