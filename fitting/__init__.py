"""Analysis by synthesis: coefficients that explain a photo and its landmarks."""
