"""The directory: all workers of the database in the memory of a router, as bitmaps of what tasks ask for. It says who is
worth asking, or that nobody is and why, in a fraction of a millisecond; the database alone gives a task to somebody."""
