"""Notebooks as jupytext pages; `python -m docs.notebooks` runs them."""
