"""Training of the networks: tasks, steps, losses, checkpoints and TensorBoard summaries."""
