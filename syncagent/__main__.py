"""`python -m syncagent` is the same program as `syncagent`."""

from syncagent.cli import main

if __name__ == "__main__":
    main()
