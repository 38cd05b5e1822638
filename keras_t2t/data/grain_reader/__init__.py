"""Reads, decodes and augments images with Grain and Pillow, without TensorFlow."""
