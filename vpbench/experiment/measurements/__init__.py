"""What is measured beside the runs; one file per measurement."""
