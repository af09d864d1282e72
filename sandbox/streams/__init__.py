"""The WebSocket side of the practice exchange: market streams, user-data streams and the trading socket."""
