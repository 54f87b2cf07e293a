"""What pictures of the lab are painted with."""
