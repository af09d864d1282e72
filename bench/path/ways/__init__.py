"""The proxies an order can go through, each started for real in front of the same upstream."""
