"""A label method that learns from strokes: features of images, the classifier, and where to draw the next stroke."""
