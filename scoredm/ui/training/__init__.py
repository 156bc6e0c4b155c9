"""The training page, and the runs that the memorisation page shares with it."""
