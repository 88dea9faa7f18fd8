"""Gates: expressions over measures that make a run fail."""
