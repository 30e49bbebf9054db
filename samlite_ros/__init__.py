"""samlite_ros: find things by name in camera streams, at camera rate, by reusing embeddings."""

from pkgutil import extend_path

# The generated samlite_ros.msg may live in another folder of this name: that of the colcon install.
__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"
