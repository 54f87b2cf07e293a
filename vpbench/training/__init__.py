"""Training by steps: the trainer, its checkpoints, evaluation, the choice of an epoch."""
