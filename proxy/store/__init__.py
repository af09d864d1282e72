"""The shared store: one Redis or Valkey, its scripts, the embedded server, the kill fence and the record codec."""
