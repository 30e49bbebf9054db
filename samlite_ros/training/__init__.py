"""Trains the demo checkpoint from scratch on rendered scenes: `samlite train-demo`."""
