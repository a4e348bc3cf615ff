"""The chandlery.toml that `init` writes: every setting as a comment, with the description of its field."""

from typing import Any

import msgspec
import pydantic

from chandlery.settings.model import LayoutSettings, SeriesSettings, Settings

__all__ = ["render_settings"]

HEAD = """# Environment variables (CHANDLERY_LAKE__URI=…) overrule this file; flags overrule both, also [[series]].
# Credentials do not belong here: they come from the cloud SDK's own chain.
"""
STORAGE = """[storage]  # options of the object stores of source and lake
# endpoint_url = "http://127.0.0.1:8333"
# region = "eu-central-1"
"""
OWN_STORAGE = """[source.storage]  # options of the store of the source alone, in place of those of [storage]
# skip_signature = "true"  # a public bucket

[lake.storage]  # options of the store of the lake alone
# region = "eu-west-1"
"""
EXAMPLES: dict[str, Any] = {  # for settings without a default
    "columns": ["time", "open", "high", "low", "close", "volume"],
    "time_column": "open_time",
    "time_unit": "ms",
    "time_format": "%d/%m/%Y %H:%M",
    "timezone": "Europe/Berlin",
    "stamps": "close",
    "volume": "Volume BTC",
    "decimal": ",",
    "skip_rows": 1,
    "symbol": "LTCUSD",
    "market": "perp",
    "interval": "1m",
    "offset": "5h",
    "split": True,
    "exchange": "kraken",
}
FIRST_HOLDS = (
    "Of several layouts that match a file, the first that has a setting decides it; one that names the file, without "
    "wildcards, comes before the others."
)
OTHERS = '# horizons = ["2h"]  # and any other setting of [forecast]'


def render_settings() -> str:
    """Return the text of a chandlery.toml with every setting as a comment.

    Sections that can occur several times are comments as a whole, with examples in place of defaults.
    """
    lines = [HEAD]
    for name in ("symbols", "chosen_series"):  # TOML requires them before the first section
        field = Settings.model_fields[name]
        lines.append(f"# {name} = {_to_toml(field.default)}  # {field.description}")
    lines.append("")
    for section, field in Settings.model_fields.items():
        kind = field.annotation
        if section == "chosen_forecast":
            continue  # set by flags only
        if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
            lines += [f"[{section}]  # {(kind.__doc__ or '').strip()}"]
            lines += [
                _describe(name, setting)
                for name, setting in kind.model_fields.items()
                if name not in {"layout", "storage"}
            ]
            lines.append("")
        if section == "source":
            lines += [f"# [[source.layout]]  # {(LayoutSettings.__doc__ or '').strip()} {FIRST_HOLDS}"]
            lines += [_describe(name, setting) for name, setting in LayoutSettings.model_fields.items()]
            lines.append("")
        if section == "forecast":
            own = {name: SeriesSettings.model_fields[name] for name in ("exchange", "interval")}
            lines += [f"# [[series]]  # {(SeriesSettings.__doc__ or '').strip()}"]
            lines += [_describe(name, setting) for name, setting in own.items()]
            lines += [OTHERS, ""]
    return "\n".join([*lines, STORAGE, OWN_STORAGE])


def _describe(name: str, setting: Any) -> str:
    """Return a setting as a comment, with its default or an example."""
    has_default = setting.default is not None and not setting.is_required()
    return f"# {name} = {_to_toml(setting.default if has_default else EXAMPLES[name])}  # {setting.description}"


def _to_toml(value: Any) -> str:
    """Return a value as TOML, in which strings, numbers and lists are written as in JSON."""
    return msgspec.json.encode(value).decode()
