"""Analysis by synthesis: coefficients that reproduce a photo and its landmarks."""
