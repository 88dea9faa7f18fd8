"""The table behind `tests.test_contracts`, a room of lacal a file."""
