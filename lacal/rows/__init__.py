"""Rows: where they come from, and what belongs to one: scores, a label, an id, a weight, a decision."""
