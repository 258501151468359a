"""Camera, rotation, light and landmark conventions, on which everything else stands."""
