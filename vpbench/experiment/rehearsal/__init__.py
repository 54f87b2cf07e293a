"""Paper scale, rehearsed: tiny datasets, every shape of run, full-size made-up records."""
