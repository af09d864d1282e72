"""A guard with the practice exchange behind it, on this machine: what demo, drills and benches run."""
