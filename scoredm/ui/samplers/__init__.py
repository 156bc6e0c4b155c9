"""The samplers page: race, error budget, likelihood, and the studies behind the first two."""
