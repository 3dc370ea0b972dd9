"""The stages of a run, each in a module of its own; `batchdigits.run` alone knows their order."""
