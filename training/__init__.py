"""Training of the networks: data, steps, checkpoints, and what TensorBoard shows of them."""
