"""The privacy test: send canary words through every route and failure path, then search the box for them.

It searches where a careless line of code would leave them: the state
directory, /var/log, the files that the appliance's processes hold open for
writing, the journal, the metrics, the temporary directories and the command
lines of all processes. It does not search memory, swap, compressed or encrypted
files. Nothing is planted before a first question was answered: a box that
refuses everything is clean of everything.
"""

from __future__ import annotations

import http.client
import json
import mmap
import os
import secrets
import shutil
import ssl
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from appliance.core import canary
from appliance.core.canary import Planting
from appliance.errors import NotConclusive
from appliance.health import open_files

#: Files that changed since the beginning are searched in these.
LOGS = (Path("/var/log"),)
TEMPORARY = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108  searched, not written
_OK = 200
_UNAUTHORIZED = 401
_TIMEOUT_SECONDS = 60.0
_JOURNAL_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Target:
    """The running appliance.

    Attributes:
        host: of the public listener.
        port: of the public listener.
        key: an API key.
        state_dir: everything it keeps.
        temporary: directories whose recently changed files are searched.
        logs: such directories of logs.
        sockets: the appliance's Unix sockets: who holds one is a process of its.
        metrics: addresses ``host, port, path`` of its metrics pages; one that does not answer is reported.
        trust: for TLS of the public listener; None where it has none.
    """

    host: str
    port: int
    key: str
    state_dir: Path
    temporary: tuple[Path, ...] = TEMPORARY
    logs: tuple[Path, ...] = LOGS
    sockets: tuple[Path, ...] = ()
    metrics: tuple[tuple[str, int, str], ...] = ()
    trust: ssl.SSLContext | None = None

    def connection(self) -> http.client.HTTPConnection:
        """To the public listener."""
        if self.trust is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT_SECONDS)
        return http.client.HTTPSConnection(self.host, self.port, timeout=_TIMEOUT_SECONDS, context=self.trust)


@dataclass(frozen=True)
class Find:
    """A canary that turned up: where it was planted and where it was found."""

    planted: str
    found: str


@dataclass
class Report:
    """What a run did and found.

    Attributes:
        planted: part of a request to the status it was answered with, 0 where the connection ended.
        searched: place to the number of files or pages read there.
        unread: places that could not be read, with the reason.
        finds: canaries that turned up.
    """

    planted: dict[str, int] = field(default_factory=dict)
    searched: dict[str, int] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    finds: list[Find] = field(default_factory=list)


class PrivacyTest:
    """One run over one appliance.

    Args:
        target: the running appliance.
        since: Unix seconds before which a temporary file is not ours.
        tick: told what is being done.
    """

    def __init__(self, target: Target, since: float, tick: Callable[[str], None] = lambda _text: None) -> None:
        self._target = target
        self._since = since
        self._tick = tick
        self._tag = canary.tag(secrets.token_bytes(canary.TAG_BYTES))
        self._tag_forms = canary.forms(self._tag)
        self._needles: dict[bytes, str] = {}
        self._seen: set[tuple[int, int]] = set()
        self.report = Report()

    def run(self, model: str) -> Report:
        """Plant and search.

        Args:
            model: a name the appliance serves.

        Raises:
            NotConclusive: nobody listens there, or a plain question is not answered.
        """
        self._ask(model)
        self._plant(model)
        self._search_state()
        self._search_recent("logs", self._target.logs)
        self._search_recent("temporary files", self._target.temporary)
        self._search_open()
        self._search_processes()
        self._search_journal()
        self._search_metrics()
        return self.report

    def _ask(self, model: str) -> None:
        """See that requests reach the model at all."""
        self._tick("asking a first question")
        chat = {"model": model, "messages": [{"role": "user", "content": "1 + 1 = ?"}], "max_tokens": 4}
        status = self._send(Planting("", "POST", "/v1/chat/completions", json.dumps(chat).encode()))
        if status == _UNAUTHORIZED:
            raise NotConclusive(
                "The gateway does not take a key of this state directory, so nothing was tested.",
                remedy="Name the directory of the appliance that runs with --state-dir, and see that the port is its.",
            )
        if status != _OK:
            answer = f"status {status}" if status else "no answer"
            raise NotConclusive(
                f"The model {model} does not answer ({answer}), so nothing was tested.",
                remedy="Name one that GET /v1/models lists with --model, and wait until GET /health/ready is 200.",
            )

    def _plant(self, model: str) -> None:
        # A word for every planting, so that a find names the route it came by.
        count = sum(1 for _ in canary.plantings(self._tag, model))
        for number in range(count):
            word = canary.word(self._tag, number)
            planting = list(canary.plantings(word, model))[number]
            self._tick(f"planting in {planting.where}")
            self.report.planted[planting.where] = self._send(planting)
            self._needles.update(dict.fromkeys(canary.forms(word), planting.where))

    def _send(self, planting: Planting) -> int:
        headers = {"content-type": "application/json", **planting.headers}
        if planting.authorized:
            headers["authorization"] = f"Bearer {self._target.key}"
        connection = self._target.connection()
        try:
            connection.request(planting.method, planting.path, planting.body or None, headers)
            if planting.leave_early and b'"stream": true' not in planting.body:
                return 0
            response = connection.getresponse()
            response.read(1 if planting.leave_early else None)
        except ConnectionRefusedError:
            raise NotConclusive(
                f"Nobody listens on {self._target.host} port {self._target.port}, so nothing was tested.",
                remedy="Start the appliance first, or set APPLIANCE_GATEWAY__PORT to its port.",
            ) from None
        except (OSError, http.client.HTTPException):
            return 0
        else:
            return response.status
        finally:
            connection.close()

    def _search_state(self) -> None:
        self._tick("searching the state directory")
        self.report.searched["state directory"] = sum(map(self._search_file, self._files([self._target.state_dir])))

    def _search_recent(self, place: str, directories: Iterable[Path]) -> None:
        self._tick(f"searching {place}")
        recent = (path for path in self._files(directories) if _changed_at(path) >= self._since)
        self.report.searched[place] = sum(map(self._search_file, recent))

    def _search_open(self) -> None:
        self._tick("searching open files")
        count = 0
        processes = open_files.processes_of((self._target.state_dir, *self._target.sockets))
        for pid in processes:
            try:
                count += sum(self._search_file(file.path, file.name) for file in open_files.written_by(pid))
            except PermissionError:
                self.report.unread.append(f"open files of process {pid}: this user may not look into it")
        if not processes:
            self.report.unread.append("open files: this user sees no process of this state directory; run it as root")
        self.report.searched["other open files"] = count

    def _search_file(self, path: Path, name: str = "") -> bool:
        """Whether it was read: once, by whatever names it is found."""
        name = name or str(path)
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_size == 0 or (status.st_dev, status.st_ino) in self._seen:
                    return False
                self._seen.add((status.st_dev, status.st_ino))
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    self._look(data, name)
        except FileNotFoundError:
            return False
        except (OSError, ValueError) as err:
            self.report.unread.append(f"{name}: {type(err).__name__}")
            return False
        return True

    def _files(self, directories: Iterable[Path]) -> Iterator[Path]:
        for directory in directories:
            for root, _, names in os.walk(directory, onerror=self._note):
                for name in names:
                    path = Path(root, name)
                    with suppress(OSError):  # gone meanwhile
                        if stat.S_ISREG(path.lstat().st_mode):
                            yield path

    def _note(self, err: OSError) -> None:
        if not isinstance(err, FileNotFoundError):
            self.report.unread.append(f"{err.filename}: {type(err).__name__}")

    def _search_processes(self) -> None:
        self._tick("searching the command lines of processes")
        count = 0
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                self._look(path.read_bytes(), f"command line of process {path.parent.name}")
                count += 1
        self.report.searched["command lines"] = count

    def _search_journal(self) -> None:
        program = shutil.which("journalctl")
        if program is None or not Path("/run/systemd/journal").exists():
            self.report.unread.append("journal: there is none on this machine")
            return
        self._tick("searching the journal")
        # Its own output is read through a pipe: the words never stand in a file of ours.
        done = subprocess.run(
            [program, f"--since=@{int(self._since)}", "--output=export", "--no-pager"],
            capture_output=True,
            timeout=_JOURNAL_TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode:
            self.report.unread.append("journal: this user may not read it")
            return
        self._look(done.stdout, "journal")
        self.report.searched["journal"] = 1

    def _search_metrics(self) -> None:
        count = 0
        for host, port, path in self._target.metrics:
            self._tick(f"searching {path}")
            connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                self._look(response.read(), path)
                if response.status == _OK:
                    count += 1
                else:
                    self.report.unread.append(f"{path}: port {port} answers with status {response.status}")
            except (OSError, http.client.HTTPException):
                self.report.unread.append(f"{path}: nobody answers on port {port}")
            finally:
                connection.close()
        if self._target.metrics:
            self.report.searched["metrics"] = count

    def _look(self, data: bytes | mmap.mmap, place: str) -> None:
        # The few forms of the tag first: a model of many gigabytes is searched too.
        if all(data.find(form) < 0 for form in self._tag_forms):
            return
        planted = {where for needle, where in self._needles.items() if data.find(needle) >= 0}
        for where in sorted(planted) or ["a part of a word"]:
            self.report.finds.append(Find(where, place))


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
