"""From a photo to the 224x224 crop that the networks see: faces, landmarks, crop, skin mask."""
