"""The reverse page; its controls are those of the samplers page too."""
