"""Run the command line with `python -m chandlery`."""

from chandlery.commands.cli import main

main()
