"""The people who answer: skills, trust, capacity, availability, and where they are paid."""
