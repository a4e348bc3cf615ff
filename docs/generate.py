"""Write docs/tables.md, docs/cli.md, docs/athena.sql and the Glue tables of Terraform from the code, for `make docs`.

A test compares these files with what this module generates.
"""

import inspect
import json
from pathlib import Path

import polars as pl
import typer

from chandlery.commands.cli import EXIT_CODES, app
from chandlery.features import registry
from chandlery.forecasts.blend import BLEND
from chandlery.models import BUILT_IN
from chandlery.schema import GAP_KINDS, REASONS, TABLES, Forecasts, Table, model_column

HERE = Path(__file__).parent
ATHENA = {  # by the names that `describe` gives to types
    "Datetime(ms, UTC)": "timestamp",
    "String": "string",
    "Int32": "int",
    "Int64": "bigint",
    "Float32": "float",
    "Float64": "double",
    "Boolean": "boolean",
    "List(String)": "array<string>",
}


def render_tables() -> str:
    """Render the data dictionary."""
    lines = [
        "# Tables",
        "",
        "Parquet (zstd), Hive partitions, UTC. Partition keys are in the path; readers return them as columns.",
        "",
    ]
    for table in TABLES.values():
        lines += [f"## {table.name}", "", (table.schema.__doc__ or "").strip(), ""]
        lines += [
            f"Key: {', '.join(table.schema.primary_key())}. Partitions: {' / '.join(table.partitions)}.",
            "",
            "| column | type | null | meaning |",
            "|---|---|---|---|",
        ]
        for name, column in table.schema.columns().items():
            lines.append(
                f"| {name} | {describe(column.dtype)} | {'yes' if column.nullable else ''} | {column.description} |"
            )
        lines.append("")
    for title, words in (("Reasons in `rejects`", REASONS), ("Kinds in `gaps`", GAP_KINDS)):
        lines += [
            f"## {title}",
            "",
            "| name | meaning |",
            "|---|---|",
            *(f"| `{name}` | {text} |" for name, text in words.items()),
            "",
        ]
    lines += [
        "## Features",
        "",
        "The inputs of the models, in the order of `models.features`. Null where a reference is not listed.",
        "",
        inspect.cleandoc(registry.__doc__ or "").partition("\n\n")[2],
        "",
        "| name | unit | window | recipe |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{feature.name}` | {feature.unit} | {feature.window} | {feature.recipe.replace('|', chr(92) + '|')} |"
        for feature in registry.BUILT_IN
    ]
    return "\n".join(lines) + "\n"


def describe(kind: pl.DataType) -> str:
    """Return the name of a column's type; enumerations are plain text in the lake."""
    if isinstance(kind, pl.Enum):
        return "String"
    if isinstance(kind, pl.List):
        return "List(String)"
    return "Datetime(ms, UTC)" if isinstance(kind, pl.Datetime) else str(kind)


def render_cli() -> str:
    """Render the reference of the commands."""
    command = typer.main.get_command(app)
    lines = ["# Commands", "", (app.info.help or "").strip(), "", EXIT_CODES, ""]
    for name, entry in sorted(command.commands.items()):  # type: ignore[attr-defined]
        lines += [
            f"## chandlery {name}",
            "",
            (entry.help or "").strip(),
            "",
            "| option | meaning | default |",
            "|---|---|---|",
        ]
        for parameter in entry.params:
            label = "`, `".join(parameter.opts) if parameter.param_type_name == "option" else parameter.name.upper()
            default = "" if parameter.required or parameter.default in {None, False, ""} else str(parameter.default)
            lines.append(f"| `{label}` | {getattr(parameter, 'help', None) or ''} | {default} |")
        lines.append("")
    return "\n".join(lines)


def render_athena() -> str:
    """Render the statements that create every table in Athena, and thus in the Glue catalogue."""
    lines = [
        "-- The tables for Athena: run single statements, with your bucket as crypto-lake; see docs/reading.md.",
        "",
    ]
    for table in TABLES.values():
        lines += [
            f"CREATE EXTERNAL TABLE IF NOT EXISTS {table.name} (",
            ",\n".join(declare(table, keys=False)),
            ")",
            f"PARTITIONED BY ({', '.join(line.strip() for line in declare(table, keys=True))})",
        ]
        lines += [
            "STORED AS PARQUET",
            f"LOCATION 's3://crypto-lake/{table.name}/';",
            "",
            f"MSCK REPAIR TABLE {table.name};",
            "",
        ]
    return "\n".join(lines)


def render_catalogue() -> str:
    """Render the tables as Terraform declares them to the Glue catalogue."""
    tables = {}
    for table in TABLES.values():
        columns, keys = (
            [{"name": name, "type": kind, "comment": comment} for name, kind, comment in list_columns(table, keys=keys)]
            for keys in (False, True)
        )
        tables[table.name] = {
            "description": inspect.cleandoc(table.schema.__doc__ or "").partition("\n")[0],
            "columns": columns,
            "partitions": keys,
        }
    return json.dumps(tables, indent=2, ensure_ascii=False) + "\n"


def declare(table: Table, *, keys: bool) -> list[str]:
    """Declare a table's columns for Athena: the partition keys, or the others and those of the models."""
    return [f"  `{name}` {kind}" for name, kind, _ in list_columns(table, keys=keys)]


def list_columns(table: Table, *, keys: bool) -> list[tuple[str, str, str]]:
    """List the name, Athena's type and the meaning of a table's columns.

    Args:
        table: The table.
        keys: List its partition keys; otherwise its other columns and those of the built-in models.
    """
    columns = {name: column for name, column in table.schema.columns().items() if (name in table.partitions) is keys}
    listed = [(name, ATHENA[describe(column.dtype)], column.description or "") for name, column in columns.items()]
    if table.schema is Forecasts and not keys:
        listed += [
            (
                model_column(model),
                ATHENA["Float32"],
                f"close forecast by {model}, in the quote currency; null where not fitted",
            )
            for model in (*BUILT_IN, BLEND)
        ]
    return listed


PAGES = {
    "tables.md": render_tables,
    "cli.md": render_cli,
    "athena.sql": render_athena,
    "../deploy/terraform/modules/catalog/tables.json": render_catalogue,
}

if __name__ == "__main__":
    for name, render in PAGES.items():
        (HERE / name).write_text(render(), encoding="utf-8")
