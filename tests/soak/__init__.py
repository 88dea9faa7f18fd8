"""Long runs that look for faults: few rounds in the tests, many by `make soak`."""
