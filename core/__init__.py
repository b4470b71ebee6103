"""What the hub decides and remembers: tasks, routing, verification, ledger, payouts. No web, queue or HTTP library in here."""
