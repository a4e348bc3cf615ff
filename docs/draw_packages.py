"""Draw the packages and the flow of the data into docs/how_it_works.md, from the source itself: `make docs`.

The picture of the packages comes from the contract of import-linter in pyproject.toml and from the imports in
`src/chandlery`; that of the data from the stages and tasks that `runs/pipeline.py` starts, and from the tables that
these tasks write. A test compares the page with the source.
"""

import ast
import itertools
import re
import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "chandlery"
PAGE = Path(__file__).parent / "how_it_works.md"
PICTURE = re.compile(r"(<!-- drawn: (\w+) -->\n).*?(<!-- end of drawn -->\n)", re.DOTALL)
WIDTH = 90  # of a picture: a page on GitHub shows about 90 characters of a code block without a scroll bar
CALLS = 30  # of the column of calls
PIPELINE = "chandlery.runs.pipeline"
LEAK_GATE = "chandlery.tasks.leak_gate"
PURE = ("sources", "candles", "features", "models", "forecasts")  # in the order of the data
STARTS = {"ingest": "_ingest", "forecast": "_forecast"}  # by command: the function of the pipeline that it runs
WRITERS = {"replace", "write", "_stage_rows"}  # calls whose first argument is the table that they write


@cache
def parse(module: str) -> ast.Module:
    """Return the syntax tree of a module or package."""
    path = ROOT / "src" / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def list_modules() -> dict[str, list[str]]:
    """Return the modules of each package, and the modules at the top with none, by name."""
    tops = {path.stem: [] for path in SOURCE.glob("*.py") if not path.stem.startswith("_")}
    packages = {
        path.parent.name: sorted(
            each.stem for each in path.parent.iterdir() if each.suffix == ".py" or is_package(each)
        )
        for path in SOURCE.glob("*/__init__.py")
    }
    modules = {name: [each for each in names if each != "__init__"] for name, names in (tops | packages).items()}
    return dict(sorted(modules.items()))


def is_package(path: Path) -> bool:
    """Return whether a folder is a package."""
    return (path / "__init__.py").exists()


def list_layers() -> list[list[str]]:
    """Return the layers of the import contract, the one that imports all others first.

    Raises:
        ValueError: A package stands in no layer.
    """
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    contract = next(each for each in contracts if each["type"] == "layers" and "containers" not in each)
    layers = [[name.removeprefix("chandlery.") for name in line.split(" | ")] for line in contract["layers"]]
    if missing := set(list_modules()).difference(*layers):
        raise ValueError(f"in no layer of pyproject.toml: {sorted(missing)}")
    return layers


def list_imports(module: str) -> dict[str, str]:
    """Return what a module imports from chandlery: the module that it comes from, by the name that it gets here."""
    return {
        alias.asname or alias.name: node.module
        for node in ast.walk(parse(module))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("chandlery")
        for alias in node.names
    }


def list_imported(package: str) -> set[str]:
    """Return the packages and modules at the top that a package imports."""
    paths = [path.relative_to(SOURCE).with_suffix("") for path in (SOURCE / package).rglob("*.py")]
    names = [
        f"chandlery.{package}",
        *(".".join(("chandlery", *path.parts)) for path in paths if path.stem != "__init__"),
    ]
    origins = {origin for name in names for origin in list_imports(name).values() if "." in origin}
    return {origin.split(".")[1] for origin in origins} - {package}


def describe(package: str) -> str:
    """Return the first sentence of a package's docstring."""
    first = (ast.get_docstring(parse(f"chandlery.{package}")) or "").partition("\n\n")[0]
    return " ".join(first.split()).rstrip(".")


def draw_packages() -> str:
    """Return the layers as a stack of boxes, and a table of the packages."""
    layers, modules = list_layers(), list_modules()
    lines, above = [], [WIDTH]
    for place, names in enumerate(layers):
        widths = share(WIDTH, len(names))
        lines.append(draw_edge(above if place else [], widths))
        lines.append("│" + "│".join(name.center(width - 1) for name, width in zip(names, widths, strict=True)) + "│")
        above = widths
    lines.append(draw_edge(above, []))
    order = [name for names in layers for name in names]
    rows = ["| package or module | what it has | modules | imports |", "|---|---|---|---|"]
    for name in order:
        imported = sorted(list_imported(name), key=order.index)
        inside = ", ".join(f"`{module}`" for module in modules[name])
        rows.append(f"| `{name}` | {describe(name)} | {inside} | {', '.join(imported)} |")
    return "\n".join(["```text", *lines, "```", "", *rows])


def share(width: int, count: int) -> list[int]:
    """Cut a width into parts that differ by at most one.

    Example:
        >>> share(10, 3)
        [3, 3, 4]
    """
    edges = [width * place // count for place in range(count + 1)]
    return [right - left for left, right in itertools.pairwise(edges)]


def draw_edge(above: Sequence[int], below: Sequence[int]) -> str:
    """Return the line between two rows of boxes of given widths; either may be missing."""
    ups, downs = (
        {sum(widths[:place]) for place in range(len(widths) + 1)} if widths else set() for widths in (above, below)
    )
    signs = {(True, True): "┼", (True, False): "┴", (False, True): "┬", (False, False): "─"}
    line = [signs[place in ups, place in downs] for place in range(WIDTH + 1)]
    line[0], line[-1] = ("┌┐", "├┤", "└┘")[0 if not above else 1 if below else 2]
    return "".join(line)


@dataclass(frozen=True)
class Step:
    """One stage of a run, and the tasks that it starts.

    Args:
        stage: Its name, as a run shows it.
        module: Of the tasks, below `chandlery.tasks`.
        functions: That carry out the tasks.
    """

    stage: str
    module: str
    functions: tuple[str, ...]

    @property
    def calls(self) -> list[str]:
        """The pure packages that the tasks call, in the order of the data, and the leak gate."""
        origins = {origin for module, tree in self.reached() for origin in list_origins(module, tree)}
        packages = {origin.split(".")[1] for origin in origins}
        has_gate = any(origin.startswith(LEAK_GATE) for origin in origins)
        return [name for name in PURE if name in packages] + ["leak gate"] * has_gate

    @property
    def tables(self) -> list[str]:
        """The tables that the tasks write."""
        calls = [
            node for _, tree in self.reached() for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args
        ]
        return sorted(
            {
                call.args[0].value
                for call in calls
                if isinstance(call.func, ast.Attribute)
                and call.func.attr in WRITERS
                and isinstance(call.args[0], ast.Constant)
                and isinstance(call.args[0].value, str)
            }
        )

    def reached(self) -> list[tuple[str, ast.AST]]:
        """Return the functions, and all functions and classes of `chandlery.tasks` that they use, by module."""
        found: dict[tuple[str, str], ast.AST] = {}
        for function in self.functions:
            reach(f"chandlery.tasks.{self.module}", function, found)
        return [(module, tree) for (module, _), tree in found.items()]


def reach(module: str, name: str, found: dict[tuple[str, str], ast.AST]) -> None:
    """Add a function or class, and those of `chandlery.tasks` that it names; the leak gate is not followed."""
    for tree in parse(module).body:
        is_definition = isinstance(tree, ast.FunctionDef | ast.ClassDef) and tree.name == name
        if is_definition and (module, name) not in found:
            found[module, name] = tree
            imports = list_imports(module)
            for inside in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}:
                origin = imports.get(inside, module)
                if origin.startswith("chandlery.tasks.") and not origin.startswith(LEAK_GATE):
                    reach(origin, inside, found)


def list_origins(module: str, tree: ast.AST) -> set[str]:
    """Return the modules of chandlery from which the names inside a function or class are imported."""
    imports = list_imports(module)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return {imports[name] for name in names if name in imports and "." in imports[name]}


def walk_calls(module: str, function: str, seen: set[str], stage: str = "") -> Iterator[Step]:
    """Yield the stages that a function of the package `runs` starts, in the order of its source.

    Functions of the package that it names are followed, each once, also those that are passed on as an argument.
    """
    imports = list_imports(module)
    for tree in parse(module).body:
        if not isinstance(tree, ast.FunctionDef) or tree.name != function:
            continue
        local = {argument.arg for argument in tree.args.args} | {
            node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        bound = {node.args[0].id for node in ast.walk(tree) if isinstance(node, ast.Call) and is_partial(node)}
        names = [found for found in walk_names(tree, stage) if found[0] not in local]
        # What `partial` binds is called later than what the function calls itself.
        for name, inside, is_mapped in sorted(names, key=lambda found: found[0] in bound):
            origin, function = imports.get(name.partition(".")[0], module), name.rpartition(".")[2]
            if origin.startswith("chandlery.runs.") and f"{origin}.{name}" not in seen:
                seen.add(f"{origin}.{name}")
                yield from walk_calls(origin, name, seen, inside)
            elif not (inside and is_mapped):
                continue
            elif origin == "chandlery.tasks":
                yield Step(inside, name.partition(".")[0], (function,))
            elif origin.startswith("chandlery.tasks."):
                yield Step(inside, origin.removeprefix("chandlery.tasks."), (function,))


def is_partial(call: ast.Call) -> bool:
    """Return whether a call is `partial(function, …)`."""
    return isinstance(call.func, ast.Name) and call.func.id == "partial" and isinstance(call.args[0], ast.Name)


def walk_names(node: ast.AST, stage: str) -> Iterator[tuple[str, str, bool]]:
    """Yield each name, the stage that it stands in, and whether it is a function that is mapped over tasks."""
    if isinstance(node, ast.With):
        stage = next((name for name in map(name_stage, node.items) if name), stage)
    mapped = node.args[0] if isinstance(node, ast.Call) and is_map(node) else None
    if isinstance(mapped, ast.Attribute) and isinstance(mapped.value, ast.Name):  # of a module: `market.build_market`
        yield f"{mapped.value.id}.{mapped.attr}", stage, True
    elif isinstance(mapped, ast.Name):
        yield mapped.id, stage, True
    elif isinstance(node, ast.Name):
        yield node.id, stage, False
    for child in ast.iter_child_nodes(node):
        yield from walk_names(child, stage)


def name_stage(item: ast.withitem) -> str:
    """Return the stage that an item of a `with` statement opens, as in `with run.stage("gaps", …)`; else nothing."""
    call = item.context_expr
    is_stage = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "stage"
    if is_stage and isinstance(call.args[0], ast.Constant):
        return str(call.args[0].value)
    return ""


def is_map(call: ast.Call) -> bool:
    """Return whether a call is `session.map(function, tasks, …)`."""
    return isinstance(call.func, ast.Attribute) and call.func.attr == "map" and bool(call.args)


def list_steps() -> dict[str, list[Step]]:
    """Return the stages of a run by command, each where it comes first; what is published, where it comes last."""
    known: set[Step] = set()
    found = {}
    for command, function in STARTS.items():
        steps = [step for step in join_steps(walk_calls(PIPELINE, function, set())) if step not in known]
        last = [step for step in steps if step.stage == "publish"]
        found[command] = [step for step in steps if step not in last] + last
        known |= {step for step in steps if step not in last}
    return found


def join_steps(steps: Iterable[Step]) -> list[Step]:
    """Join steps of the same stage whose tasks are in one module."""
    functions: dict[tuple[str, str], tuple[str, ...]] = {}
    for step in steps:
        before = functions.get((step.stage, step.module), ())
        functions[step.stage, step.module] = tuple(dict.fromkeys([*before, *step.functions]))
    return [Step(stage, module, names) for (stage, module), names in functions.items()]


def draw_data() -> str:
    """Return the stages of each command from the raw files to the readers, with the tables that they write."""
    lines = ["raw files".center(WIDTH).rstrip(), arrow()]
    for command, steps in list_steps().items():
        lines += [frame(f"┌─ chandlery {command} ", "─", "┐"), *rows("stage", "task", "calls", "writes")]
        written: list[str] = []
        for step in steps:
            is_publication = step.stage == "publish"
            texts = "all, in one short phase" if is_publication else ", ".join(step.tables)
            lines += rows(step.stage, f"tasks/{step.module}.py", ", ".join(step.calls), texts)
            written += step.tables
        names = ", ".join(sorted(set(written)))
        lines += [frame("└", "─", "┘"), arrow(), f"the tables {names}".center(WIDTH).rstrip(), arrow()]
    readers = "read_table, query, report, plot, compare; Spark, DuckDB, Polars, pandas, Athena, Redshift"
    lines += [line.center(WIDTH).rstrip() for line in textwrap.wrap(readers, WIDTH)]
    return "\n".join(["```text", *lines, "```"])


def arrow() -> str:
    """Return an arrow that leads down."""
    return "▼".center(WIDTH).rstrip()


def frame(start: str, line: str, end: str) -> str:
    """Return the upper or lower edge of a box."""
    return start.ljust(WIDTH, line) + end


def rows(stage: str, task: str, calls: str, writes: str) -> list[str]:
    """Return the lines of one stage inside a box, in four columns; long calls take several lines."""
    first, *others = textwrap.wrap(calls, CALLS) or [""]
    columns = [(stage, task, first, writes), *(("", "", other, "") for other in others)]
    return [f"│ {a:<11}{b:<21}{c:<{CALLS + 1}}{d}".ljust(WIDTH) + "│" for a, b, c, d in columns]


PICTURES = {"packages": draw_packages, "data": draw_data}


def render(text: str) -> str:
    """Return the page with its pictures drawn from the source."""
    return PICTURE.sub(lambda found: f"{found[1]}\n{PICTURES[found[2]]()}\n\n{found[3]}", text)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
