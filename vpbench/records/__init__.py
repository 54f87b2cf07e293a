"""Records of runs and measurements: where they are, what is in them; no torch here."""
