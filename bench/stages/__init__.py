"""Where the CPU time of one order goes, stage by stage: ``python -m bench.stages``."""
