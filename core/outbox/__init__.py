"""Jobs as rows: written with the change they follow, claimed by a lease, ended with their effects."""
