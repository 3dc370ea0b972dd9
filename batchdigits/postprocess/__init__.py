"""Turn predictions into rows, by rules, candidates and thresholds."""
