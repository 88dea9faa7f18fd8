"""Adjustments that are fitted to validation rows by their log loss."""
