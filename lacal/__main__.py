"""`python -m lacal`."""

from lacal.cli.main import main

main()
