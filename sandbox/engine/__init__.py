"""A venue-neutral perpetual-futures exchange: pure, synchronous, seeded. It knows no HTTP, no clock and no venue."""
