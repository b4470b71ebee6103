"""Events to the asker: signed, retried for three days, dead letters kept and redriven."""
