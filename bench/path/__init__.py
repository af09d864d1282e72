"""The order path: one signed order through the guard, beside the same order through proxies that guard nothing."""
