"""Archiving: files that were read move out of the inbox."""
