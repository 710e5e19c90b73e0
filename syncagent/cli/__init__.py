"""Command line: `syncagent --help`."""

import click


@click.group()
@click.version_option(package_name="syncagent")
def main() -> None:
    """Hand leads from marketing to sales, exactly once, and watch that somebody calls."""
