"""One folder a venue: pure codecs between its bytes and our commands. No I/O."""
