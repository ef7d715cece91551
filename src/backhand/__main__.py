"""`python -m backhand`: what `backhand` does."""

from backhand.cli import main

main()
