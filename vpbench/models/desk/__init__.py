"""Real weights and real images from Python packages: what runs without a GPU and without a hub."""
