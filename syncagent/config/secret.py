"""Where secrets come from: never from the config itself."""

import os
import re
import subprocess
from pathlib import Path

from msgspec import Struct

from syncagent.errors import ConfigError, Problem


class Secret(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a secret is kept: exactly one of an environment variable, a file, or a command that prints it.

    The value never stands in the config, is read when it is needed, and never appears in a message.
    """

    env: str = ""
    file: str = ""
    command: tuple[str, ...] = ()

    def beside(self, folder: Path) -> "Secret":
        """The same, with a relative file meant from this folder."""
        return Secret(self.env, str(folder / self.file), self.command) if self.file else self

    def reveal(self) -> str:
        """The secret itself. Raises `ConfigError` that says where it was looked for, and never what was found."""
        if self.env:
            value = os.environ.get(self.env, "")
            # What is no usual name may be the secret itself, written at the wrong place.
            usual = re.fullmatch(r"[A-Z][A-Z0-9_]*", self.env)
            where = f"the environment variable {self.env}" if usual else "the environment variable that env names"
        elif self.file:
            try:
                value = Path(self.file).read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or "it is not a text in UTF-8"
                raise ConfigError([Problem("secret", f"{self.file} cannot be read: {why}.")]) from None
            where = self.file
        elif self.command:
            try:
                done = subprocess.run(self.command, capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
            except (OSError, ValueError, subprocess.SubprocessError):
                raise ConfigError([Problem("secret", f"The command {self.command[0]} did not print it.")]) from None
            value = done.stdout.strip()
            where = f"the command {self.command[0]}"
        else:
            raise ConfigError([Problem("secret", "A secret needs one of env, file or command.")])
        if not value:
            raise ConfigError([Problem("secret", f"There is no secret in {where}.")])
        return value
