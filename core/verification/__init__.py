"""Whether an answer is good: stages with verdicts, and what follows from them."""
