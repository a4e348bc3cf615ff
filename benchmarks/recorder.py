"""A proxy that records every version of every object that is read, and the judgement of reads by these versions."""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

from asks import ASKS, WAYS, Answer, Ask, Partition, answers_of
from chandlery.lake.tables import parse_partition
from gate import Gate, Requests, name_of, source_of

TABLES_READ = tuple(dict.fromkeys(ask.table for ask in ASKS))
SHOWN_LETTERS = 200  # of a problem: enough to tell one kind from another


@dataclass(frozen=True)
class Version:
    """A version of an object.

    Args:
        began: When its put was sent on, by the monotonic clock.
        ended: When the store had answered: from then on it exists, until the next version.
        answers: Its answer to each question; empty where the object was deleted.
    """

    began: float
    ended: float
    answers: Mapping[Ask, Answer]


@dataclass(frozen=True)
class Read:
    """A read.

    Args:
        way: The way in which it was read.
        ask: The question.
        began: When it began; of two attempts the second.
        ended: When the rows were received.
        answers: The answer of each partition; None where the last attempt failed.
        problems: Why attempts failed.
        fault: How the rows broke the contract; empty where they did not.
        failures: When each failed attempt began and ended.
    """

    way: str
    ask: Ask
    began: float = 0.0
    ended: float = 0.0
    answers: Mapping[Partition, Answer] | None = None
    problems: tuple[str, ...] = ()
    fault: str = ""
    failures: tuple[tuple[float, float], ...] = ()


class Recorder(Gate):
    """A proxy that records every version of every object that is read.

    Args:
        endpoint: URL of the S3 server.
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.versions: dict[str, list[Version]] = defaultdict(list)
        self._staged: dict[str, bytes] = {}  # objects that have no final name yet
        self.phases: list[tuple[float, float]] = []  # of publishing: from the put of a manifest to the last copy

    def passed(self, request: Requests, body: bytes, status: int, began: float) -> None:
        """Record a version."""
        ended, name = time.monotonic(), name_of(request.path)
        if request.command == "PUT" and name.startswith("_staging/"):
            self._staged[name] = body
            if name.endswith("/manifest.json"):
                self.phases.append((began, ended))
        if source := source_of(request):
            body = self._staged[source]
            self.phases[-1] = self.phases[-1][0], max(ended, self.phases[-1][1])
        if (
            request.command in {"PUT", "DELETE"}
            and status < 300  # noqa: PLR2004 - it succeeded
            and name.startswith(tuple(f"{table}/" for table in TABLES_READ))
        ):
            self.versions[name].append(
                Version(began, ended, answers_of(name, body) if request.command == "PUT" else {})
            )

    def meets_phase(self, began: float, ended: float) -> bool:
        """Return whether objects got their final names at some moment of [began, ended]."""
        return any(first <= ended and began <= last for first, last in self.phases)

    def precedes_phase(self, began: float, ended: float) -> bool:
        """Return whether a publishing phase began within (began, ended]: a shorter one would have met that read too."""
        return any(began < first <= ended for first, _ in self.phases)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the error: no run is killed here, so that it is unexpected."""
        ThreadingHTTPServer.handle_error(self, request, client_address)

    def admissible(self, read: Read) -> dict[Partition, list[Answer | None]]:
        """Return the answers that a read may find for each partition: those of the versions that existed meanwhile.

        None stands for the time without an object.
        """
        found: dict[Partition, list[Answer | None]] = {}
        for path, versions in self.versions.items():
            partition = tuple(parse_partition(path).values())
            if path.startswith(f"{read.ask.table}/") and read.ask.chooses(partition):
                begun = [-1.0, *(version.began for version in versions)]
                gone = [*(version.ended for version in versions), float("inf")]
                answers = [None, *(version.answers.get(read.ask) for version in versions)]
                found[partition] = [
                    answer
                    for answer, first, last in zip(answers, begun, gone, strict=True)
                    if first <= read.ended and last >= read.began
                ]
        return found


@dataclass
class Tally:
    """Counts of the reads of one way.

    Args:
        reads: All reads.
        crossed: Reads during which one of their objects was replaced.
        failed: Reads whose first attempt failed.
        early: Failed reads that were under way when the publishing phase began.
        lost: Failed reads whose retry failed too.
        stray: Failed attempts that met no publishing phase.
        wrong: Reads with an answer that no version gives, or with rows that break the contract.
        problems: Why attempts failed, and how often.
        faults: What was wrong, or failed again, and how often.
    """

    reads: int = 0
    crossed: int = 0
    failed: int = 0
    early: int = 0
    lost: int = 0
    stray: int = 0
    wrong: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, read: Read, admissible: dict[Partition, list[Answer | None]]) -> None:
        """Count a read."""
        self.reads += 1
        self.failed += bool(read.problems)
        self.problems.update(re.sub(r"\d+", "#", problem)[:SHOWN_LETTERS] for problem in read.problems)
        if read.answers is None:
            self.lost += 1
            self.faults[f"{read.ask} failed {len(read.problems)} times"] += 1
            return
        self.crossed += any(len(answers) > 1 for answers in admissible.values())
        others = [
            partition
            for partition in admissible.keys() | read.answers.keys()
            if read.answers.get(partition) not in admissible.get(partition, [])
        ]
        if others or read.fault:
            self.wrong += 1
            what = (
                read.fault
                or f"{'/'.join(others[0])}: {read.answers.get(others[0])} found, of {admissible.get(others[0])}"
            )
            self.faults[f"{read.ask}: {what}"] += 1

    def holds(self, *, is_ours: bool) -> bool:
        """Return whether no read was wrong, and none failed: of plain scans, none twice."""
        return self.reads > 0 and not self.wrong and not self.stray and not (self.failed if is_ours else self.lost)


def judge(reads: list[Read], recorder: Recorder) -> dict[str, Tally]:
    """Return the counts of all reads, by way."""
    tallies = {way: Tally() for way in WAYS}
    for read in reads:
        tallies[read.way].add(read, recorder.admissible(read))
        tallies[read.way].stray += sum(not recorder.meets_phase(*moment) for moment in read.failures)
        tallies[read.way].early += bool(read.failures) and recorder.precedes_phase(*read.failures[0])
    return tallies


def count_versions(recorder: Recorder) -> Counter[str]:
    """Return how many versions of objects there have been, by table."""
    return Counter(
        {
            table: sum(len(versions) for path, versions in recorder.versions.items() if path.startswith(f"{table}/"))
            for table in TABLES_READ
        }
    )
