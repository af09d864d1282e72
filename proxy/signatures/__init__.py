"""What the guard signs and how: one canonical form of a document, one signature over it."""
