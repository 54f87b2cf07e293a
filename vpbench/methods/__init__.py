"""Ways to adapt a backbone to a task; one file per method, each with `fit`."""
