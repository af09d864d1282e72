"""Walks the signals forward over bars of the past, exactly as they run live, and scores what they would have stated."""
