"""Frozen backbones: what they are, where their weights come from, what makes them fast."""
