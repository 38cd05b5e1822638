"""Writes models for other runtimes: see `export_model`."""

from keras_t2t.export.exporting import ExportReport, export_model

__all__ = ["ExportReport", "export_model"]
