"""The report as one page, and the tables as one LaTeX document."""
