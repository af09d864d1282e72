"""What ends a bench without a number."""


class BenchFailed(Exception):
    """What was to be measured did not happen: orders were refused or lost, a crowd did not come. Its words say what."""
