"""Functional builders of the models."""
