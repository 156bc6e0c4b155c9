"""The training page: the choice of a recipe, and the live view of a run."""
