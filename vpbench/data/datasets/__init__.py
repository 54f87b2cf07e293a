"""The paper's datasets as they lie on disk: one file per kind of format."""
