"""The Binance USD-M dialect: routes, parameters, signatures, replies and codes over the venue-neutral engine."""
