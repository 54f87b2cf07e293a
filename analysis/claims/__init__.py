"""The paper's findings and whether they appear."""
