"""What the venue says of an account: surveys, reconciliation of holds, the ccxt hands of the warden and the kill."""
