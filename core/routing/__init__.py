"""Who gets a task: eligibility, score, offers, deadlines, and how a task ends without an answer."""
