"""What an operator has to mend: one open item per cause, with the fix, until somebody or the next success closes it."""
