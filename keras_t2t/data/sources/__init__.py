"""Sources of encoded images and their labels: one layout of files per module."""
