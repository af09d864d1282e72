"""The order path. Read judge.py first."""
