"""`python -m chandlery` is the command line."""

from chandlery.commands.cli import main

main()
