"""Order flow of invented accounts, with incidents at known moments: what a detector of anomalies is measured on."""
