"""Pictures of random faces with everything known about them: training and evaluation data without photos."""
