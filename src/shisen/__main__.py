"""`python -m shisen`: the command line."""

from .cli.main import main

main()
