"""Workers' bank accounts, and the batches in which people without a payment API pay them."""
