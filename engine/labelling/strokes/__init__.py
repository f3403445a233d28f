"""A label method that learns from strokes: features of images and the classifier."""
