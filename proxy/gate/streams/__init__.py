"""The WebSocket door of the gate: bots' sockets, and the market streams they share."""
