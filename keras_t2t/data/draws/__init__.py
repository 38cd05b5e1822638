"""Random numbers of training data, drawn in NumPy: the same for every reader.

Each draw is a function of the run's seed and of a global position, which counts the
images of all shards from the start of training, or of the number of the batch that it
lies in. So no parallelism changes a stream, and it can start anywhere.
"""
