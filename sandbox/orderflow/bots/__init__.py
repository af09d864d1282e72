"""Six ways to trade, each a stream of orders that follows the market."""
