"""samlite_ros: find things by name in camera streams, at camera rate, by reusing embeddings."""

__version__ = "0.1.0"
