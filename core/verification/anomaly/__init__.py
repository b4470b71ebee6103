"""What is odd about an answer or a worker: evidence that raises checks, never a verdict against anybody by itself."""
