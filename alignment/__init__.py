"""From a photo to the networks' 224x224 input: faces, landmarks, crop, skin mask."""
