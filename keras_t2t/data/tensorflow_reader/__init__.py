"""Reads, decodes and augments images with tf.data."""
