"""The twins: procedural look-alikes of the paper's datasets, one file each."""
