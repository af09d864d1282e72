"""What the numbers in docs/bench.md come from."""
