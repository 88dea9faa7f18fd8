"""The search for tau: the exact error curve over every tau, the pick from it, and how sure that is."""
