"""Postprocessing: predictions become rows, by rules, candidates and thresholds."""
