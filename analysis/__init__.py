"""Analyses: each reads records and writes one table or figure; none of them imports torch."""
