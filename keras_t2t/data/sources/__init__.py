"""Where encoded images and their labels lie: one layout of files per module."""
