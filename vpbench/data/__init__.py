"""Tasks and their images: datasets on disk, folders, twins, caches, batches."""
