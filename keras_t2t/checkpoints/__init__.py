"""Weights from files and by name, and saving in the authors' format."""
