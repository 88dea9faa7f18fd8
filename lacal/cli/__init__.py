"""The command line: `main` is the door, then one file a command."""
