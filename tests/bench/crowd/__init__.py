"""The benchmark of consensus on real label sets: reading them, the stream of tasks, and the peers on all labels."""
