"""`python -m chandlery` is the command line."""

from chandlery.cli import main

main()
