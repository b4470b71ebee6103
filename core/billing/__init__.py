"""What a task costs, and when the organisation's money moves: reserved at creation, charged at verified."""
