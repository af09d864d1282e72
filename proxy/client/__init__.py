"""The guard's control door as programs of this machine ask it: where it is, and the token that opens it."""
