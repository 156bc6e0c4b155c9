"""Faults: servers that are killed, machines that lack something, and texts that nobody meant.

`python -m tests.faults` runs all of it.
"""
