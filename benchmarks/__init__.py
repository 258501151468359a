"""What is measured: speed and accuracy, by commands that print their figures."""
