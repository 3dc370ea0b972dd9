"""Moves files that were read out of the inbox."""
