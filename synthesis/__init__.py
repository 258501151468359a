"""Pictures of random faces with known coefficients: training and evaluation data without photos."""
