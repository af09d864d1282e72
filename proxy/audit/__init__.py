"""The memory: every decision, hash-chained, verifiable and replayable with everything else switched off."""
