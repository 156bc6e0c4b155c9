"""The memorisation page."""
