"""Where the settings of a run came from: a file, environment variables and flags, by their names."""

import msgspec

__all__ = ["Origins"]


class Origins(msgspec.Struct, frozen=True):
    """Where settings came from. All that none of these gives has its default, or is taken from the lake.

    Args:
        file: Absolute path of the settings file; None if there is none.
        folder: The working directory, in which chandlery.toml is looked for; empty if no file was looked for.
        environment: Names of environment variables.
        flags: Names of flags, or of the settings that a program gave.
    """

    file: str | None = None
    folder: str = ""
    environment: list[str] = []
    flags: list[str] = []

    @property
    def described(self) -> str:
        """The origins in one line."""
        absent = (
            f"no settings file (there is no chandlery.toml in {self.folder})" if self.folder else "no settings file"
        )
        parts = [self.file or absent]
        parts += [f"environment: {', '.join(self.environment)}"] if self.environment else []
        parts += [f"flags: {', '.join(self.flags)}"] if self.flags else []
        return "; ".join(parts)
