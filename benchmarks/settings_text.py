"""Settings as the text of a chandlery.toml, for programs that start runs."""

from collections.abc import Mapping


def to_toml(sections: Mapping[str, Mapping[str, object]]) -> str:
    """Return sections of settings, whose values are all texts, as a part of a chandlery.toml.

    Args:
        sections: Names and values, by section.
    """
    return "".join(
        f"[{section}]\n" + "".join(f'"{name}" = "{value}"\n' for name, value in values.items())
        for section, values in sections.items()
    )
