"""How fast syncagent is, as ratios against ceilings measured in the same run: `python -m benchmarks --help`."""
