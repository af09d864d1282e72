"""The forecasts run over a file of bars as they would have run live, and scored: ``perpguard signals backtest``."""
