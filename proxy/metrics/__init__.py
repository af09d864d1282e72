"""What Prometheus reads of the guard: one stable set of names, and where each value comes from."""
