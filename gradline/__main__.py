"""Run the command line as `python -m gradline`."""

from gradline.cli import run

run()
