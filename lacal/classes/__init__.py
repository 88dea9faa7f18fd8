"""Classes: their names and order, their training counts and what follows from them, and how they are grouped."""
