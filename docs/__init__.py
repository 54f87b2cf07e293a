"""The documentation: pages, and what makes their numbers."""
