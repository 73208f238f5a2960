"""The network side of the lab: who may talk to it, and that nobody can disturb it."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import torch
from websockets.exceptions import ConnectionClosed, InvalidStatus

import gradline as gl
from gradline import listening
from gradline.errors import DataError, UsageError
from gradline.hosts import is_open
from gradline.lab import rooms as rooms_file
from gradline.lab import uploads
from gradline.lab.bench import Bench
from gradline.lab.files import MOST_FILES, MOST_REMEMBERED, Files, open_data
from gradline.lab.jobs import Job
from gradline.lab.remedies import for_page
from gradline.lab.session import Session
from gradline.lab.talk import BURST, MOST_MESSAGE, MOST_WAITING
from gradline.listening import bound
from labs import Lab, running

CSV = b"x,word,y\n" + b"".join(b"%d,w%d,%d\n" % (i, i % 3, 2 * i) for i in range(50))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running() as found:
        yield found


def until(true: Callable[[], Any], seconds: float = 10.0) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def left(lab: Lab) -> list[Path]:
    """Every file and folder that uploads have left."""
    return list(lab.rooms.folder().rglob("*"))


# Who may talk to it.

HOSTS = [
    ("127.0.0.1:{port}", True),
    ("localhost:{port}", True),
    ("LOCALHOST:{port}", True),
    ("localhost", True),
    ("[::1]:{port}", True),
    ("127.0.0.2:9", True),  # this machine too; a tunnel has another port
    ("", False),
    ("evil.example", False),
    ("evil.example:{port}", False),
    ("localhost.evil.example:{port}", False),
    ("127.0.0.1.evil.example:{port}", False),
    ("localhost.:{port}", False),
    ("evil.example@127.0.0.1:{port}", False),
    ("127.0.0.1:{port}@evil.example", False),
    ("127.0.0.1:{port}#evil.example", False),
    ("evil.example#127.0.0.1", False),
    ("127.0.0.1/evil", False),
    ("127.0.0.1\\evil", False),
    ("127.0.0.1 evil.example", False),
    ("127.0.0.1,evil.example", False),
    ("2130706433", False),
    ("0x7f.1", False),
    ("127.1", False),
    ("0.0.0.0:{port}", False),
    ("[::]:{port}", False),
    ("192.168.1.5:{port}", False),
    ("[::1", False),
    ("[localhost]", False),
    ("localhost:99999999", False),
    ("localhost:", False),
    ("localhos\u0167", False),
]

ORIGINS = [
    (None, True),
    ("http://127.0.0.1:{port}", True),
    ("HTTP://127.0.0.1:{port}", True),
    ("", False),
    ("null", False),
    ("http://evil.example", False),
    ("http://127.0.0.1", False),
    ("http://127.0.0.1:1", False),
    ("https://127.0.0.1:{port}", False),
    ("http://localhost:{port}", False),  # another name is another page
    ("http://127.0.0.1:{port}/", False),
    ("http://127.0.0.1:{port}.evil.example", False),
    ("http://evil.example@127.0.0.1:{port}", False),
    ("http://127.0.0.1:{port}@evil.example", False),
    ("http://[::1]:{port}", False),
    ("file://", False),
    ("chrome-extension://abcdef", False),
]


def spoken(lab: Lab, *lines: str) -> int:
    """The status that a request of these very lines is answered with."""
    with socket.create_connection(("127.0.0.1", lab.port), 10) as line:
        text = "\r\n".join([*lines, "Connection: close", "", ""])
        line.sendall(text.encode("utf-8"))
        got = line.makefile("rb").readline()
    return int(got.split()[1])


UPGRADE = (
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def upgraded(lab: Lab, *lines: str) -> int:
    """The same for a WebSocket."""
    with socket.create_connection(("127.0.0.1", lab.port), 10) as line:
        text = "\r\n".join(
            ["GET /ws HTTP/1.1", *lines, *UPGRADE, "Connection: Upgrade", "", ""]
        )
        line.sendall(text.encode("utf-8"))
        got = line.makefile("rb").readline()
    return int(got.split()[1])


@pytest.mark.parametrize(("host", "fine"), HOSTS)
def test_host(lab: Lab, host: str, fine: bool) -> None:
    line = f"Host: {host.format(port=lab.port)}"
    refused = {400, 403}  # 400: no header at all, says the parser
    assert (spoken(lab, "GET / HTTP/1.1", line) in refused) is not fine
    assert (upgraded(lab, line) in refused) is not fine
    if fine:
        assert spoken(lab, "GET / HTTP/1.1", line) == 200
        assert upgraded(lab, line) == 101


@pytest.mark.parametrize(("origin", "fine"), ORIGINS)
def test_origin(lab: Lab, origin: str | None, fine: bool) -> None:
    lines = [f"Host: 127.0.0.1:{lab.port}"]
    if origin is not None:
        lines.append(f"Origin: {origin.format(port=lab.port)}")
    assert spoken(lab, "GET / HTTP/1.1", *lines) == (200 if fine else 403)
    assert upgraded(lab, *lines) == (101 if fine else 403)


def test_a_missing_or_doubled_host_and_a_doubled_origin_are_refused(lab: Lab) -> None:
    host = f"Host: 127.0.0.1:{lab.port}"
    own = f"Origin: http://127.0.0.1:{lab.port}"
    assert spoken(lab, "GET / HTTP/1.0") == 403
    assert spoken(lab, "GET / HTTP/1.1") == 400
    assert spoken(lab, "GET / HTTP/1.1", host, "Host: evil.example") in (400, 403)
    assert spoken(lab, "GET / HTTP/1.1", host, own, "Origin: http://evil") == 403
    assert upgraded(lab, host, own, "Origin: http://evil.example") in (400, 403)
    assert spoken(lab, "GET http://evil.example/ HTTP/1.1", "Host: evil.example") == 403


def test_open_to_all_takes_addresses_and_own_names_but_no_foreign_one() -> None:
    own = socket.gethostname()
    with running(host="0.0.0.0") as lab:
        for host in ("10.1.2.3:1", "[fe80::1]", "localhost", own, f"{own}.local"):
            assert spoken(lab, "GET / HTTP/1.1", f"Host: {host}") == 200, host
        for host in ("evil.example", "evil.local", "localhost.evil.example"):
            assert spoken(lab, "GET / HTTP/1.1", f"Host: {host}") == 403, host
        assert upgraded(lab, "Host: 10.1.2.3", "Origin: http://evil.example") == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.3.3.3"])
def test_loopback_is_closed(host: str) -> None:
    assert not is_open(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "box", "a.b"])
def test_everything_else_is_open(host: str) -> None:
    assert is_open(host)


def test_a_foreign_page_is_told_in_a_sentence(lab: Lab) -> None:
    status, headers, body = lab.ask("GET", "/", headers={"Origin": "http://evil"})
    assert (status, headers["content-type"]) == (403, "text/plain; charset=utf-8")
    assert body.decode().startswith("The lab answers its own pages only")
    with (
        pytest.raises(InvalidStatus, match="403"),
        lab.page(origin="http://evil.example"),
    ):
        pass


def test_every_answer_has_the_headers_that_keep_it_in(lab: Lab) -> None:
    for method, path in [
        ("GET", "/"),
        ("GET", "/none"),
        ("POST", "/"),
        ("PUT", "/files"),
    ]:
        _, headers, _ = lab.ask(method, path)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


@pytest.mark.parametrize(
    "path",
    ["/nope", "/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "/views/../../app.py",
     "//etc/passwd", "/index.html%00.js", "/views/", "/data/penguins.csv"],
)  # fmt: skip
def test_only_the_page_is_served(lab: Lab, path: str) -> None:
    status, _, body = lab.ask("GET", path)
    assert (status, body) == (404, b"There is nothing here; the lab is at /.")


def test_every_file_of_the_page_is_served_with_its_type(lab: Lab) -> None:
    folder = Path(gl.__file__).parent / "lab" / "page"
    kinds = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
    for file in folder.rglob("*"):
        if file.suffix in kinds:
            path = "/" + file.relative_to(folder).as_posix()
            status, headers, body = lab.ask("GET", path)
            assert (status, body) == (200, file.read_bytes())
            assert headers["content-type"] == f"{kinds[file.suffix]}; charset=utf-8"


def test_nothing_waits_for_an_acknowledgement() -> None:
    with bound("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP  # so asyncio sets TCP_NODELAY


def test_other_methods_are_refused_in_a_sentence(lab: Lab) -> None:
    status, headers, body = lab.ask("POST", "/", b"x")
    assert (status, body) == (405, b"This can only be read.")
    assert set(headers["allow"].split(", ")) == {"GET", "HEAD"}
    status, headers, body = lab.ask("POST", "/files")
    assert (status, headers["allow"]) == (405, "PUT")
    assert body == b"Files are sent here with PUT."


# Messages.


def test_hello(lab: Lab) -> None:
    with lab.page() as page:
        hello = page.hello
        assert (hello["type"], hello["id"]) == ("hello", None)
        assert hello["version"] == gl.__version__
        assert hello["torch"] == torch.__version__
        assert hello["file"] is None
        assert {"name", "title", "story", "drawn", "real"} <= set(hello["datasets"][0])
        assert hello["bounds"]["epochs"][0] == 1
        assert "SGD" in hello["choices"]["optimizer"]
        assert hello["upload"]["most"] == 2_000_000_000
        with lab.page() as other:
            assert other.session != page.session


BAD = [
    ("{", "the message is no JSON"),
    ("", "the message is no JSON"),
    ("[" * 100_000, "the message is no JSON"),
    ('{"a":' * 50_000, "the message is no JSON"),
    ("9" * 5_000, "the message is no JSON"),
    (b"\x00\x01", "the message is binary"),
    (b"{}", "the message is binary"),
    ("[]", "the message is no object"),
    ("null", "the message is no object"),
    ("NaN", "the message is no object"),
    ('"text"', "the message is no object"),
    ("{}", "there is no message None"),
    ('{"type": NaN}', "there is no message nan"),
    ('{"type": ["set"]}', "there is no message"),
    ('{"type": {"a": 1}}', "there is no message"),
    ('{"type": "constructor"}', "there is no message 'constructor'"),
    ('{"type": "set"}', "a setting is an object"),
    ('{"type": "set", "setting": {"n": NaN}}', "n is nan"),
    ('{"type": "set", "setting": {"n": 1e999}}', "n is inf"),
    ('{"type": "set", "setting": {"n": ' + "9" * 400 + "}}", "n is"),
    ('{"type": "set", "setting": {"n": true}}', "n is True"),
    ('{"type": "set", "setting": {"nn": 1}}', "there is no setting 'nn'"),
    ('{"type": "set", "setting": {"data": "file:7"}}', "file:7"),
    ('{"type": "set", "setting": {"data": "../../etc/passwd"}}', "no data set"),
    ('{"type": "describe", "data": {"a": 1}}', "open the file again"),
    ('{"type": "describe", "data": "file:1"}', "open the file again"),
    (json.dumps({"type": "x", "a": "y" * MOST_MESSAGE}), "250,000 are the most"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "text"), BAD)
def test_a_bad_message_is_answered_and_the_page_lives_on(
    lab: Lab, data: str | bytes, text: str
) -> None:
    with lab.page() as page:
        answer = page.raw(data)
        assert answer["type"] == "error"
        assert text in answer["message"]
        assert "Traceback" not in answer["message"]
        assert page.ask("set", setting={})["type"] == "run"


@pytest.mark.parametrize(
    "number", ['"1"', "true", "1.5", "null", "[1]", "1" + "0" * 99]
)
def test_a_number_that_is_none_is_answered_without_one(lab: Lab, number: str) -> None:
    with lab.page() as page:
        got = page.raw(f'{{"id": {number}, "type": "none"}}')
        assert got["message"] == "there is no message 'none'"


def test_a_message_beyond_measure_ends_that_page_alone(lab: Lab) -> None:
    with lab.page() as other:
        with pytest.raises(ConnectionClosed), lab.page() as page:
            page.raw("x" * 5_000_000)
        assert other.ask("set", setting={})["type"] == "run"


def test_a_fault_of_ours_says_nothing_and_is_told_where_the_lab_was_started(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("secret of this machine")

    with lab.page() as page:
        with monkeypatch.context() as patch:
            patch.setattr(Session, "answer", broken)
            answer = page.ask("set", setting={})
        assert answer["type"] == "error"
        assert answer["message"].startswith("the lab made a mistake")
        assert "secret" not in answer["message"]
        assert capfd.readouterr().err.count("RuntimeError: secret of this machine") == 1
        assert page.ask("set", setting={})["type"] == "run"


# Work: several pages, long runs, newer settings.


class Slow:
    """Takes the place of Session.answer: works until it is told to stop."""

    def __init__(self, spin: bool = False) -> None:
        self.spin = spin
        self.started = threading.Semaphore(0)
        self.running = 0
        self.stopped = 0

    def __call__(self, session: Session, message: Any, job: Job) -> dict[str, Any]:
        setting = message.get("setting")
        if setting != "slow":
            return {"type": "quick", "setting": setting}
        self.running += 1
        self.started.release()
        matrix = torch.rand(300, 300)
        try:
            with job.progress("reading", 1000) as advance:
                for _ in range(2_000):
                    if self.spin:
                        torch.linalg.svd(matrix)
                    else:
                        time.sleep(0.01)
                    advance(1)
        finally:
            self.running -= 1
            self.stopped += 1
        return {"type": "slow"}

    def put(self, patch: pytest.MonkeyPatch) -> Slow:
        patch.setattr(Session, "answer", lambda *a: self(*a))
        return self


def test_a_newer_setting_stops_the_one_under_way_and_those_that_wait(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow().put(monkeypatch)
    with lab.page() as page:
        first = page.send("set", setting="slow")
        assert slow.started.acquire(timeout=10)
        later = [page.send("set", setting=i) for i in range(5)]
        answers = {}
        while len(answers) < 6:
            got = page.receive()
            if got["type"] != "progress":
                answers[got["id"]] = got
        assert slow.stopped == 1
        assert answers[later[-1]] == {"id": later[-1], "type": "quick", "setting": 4}
        for number in [first, *later[:-1]]:
            assert answers[number]["type"] == "error"
            assert answers[number]["message"].startswith("a newer setting has taken")


def test_progress_is_pushed_now_and_then_and_can_be_cancelled(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow().put(monkeypatch)
    with lab.page() as page:
        number = page.send("set", setting="slow")
        seen = [page.receive() for _ in range(3)]
        assert {p["type"] for p in seen} == {"progress"}
        assert {p["what"] for p in seen} == {"reading"}
        assert all(p["id"] is None for p in seen)
        rows = [p["rows"] for p in seen]
        assert rows == sorted(rows)
        assert seen[0]["share"] == pytest.approx(rows[0] / 1000)
        assert rows[1] - rows[0] > 3  # not at every row
        page.send("cancel")
        assert page.wait(number)["type"] == "error"
        assert slow.running == 0


@pytest.mark.parametrize("spin", [False, True])
def test_a_page_at_work_keeps_no_other_one_waiting(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, spin: bool
) -> None:
    slow = Slow(spin).put(monkeypatch)
    with lab.page() as page, lab.page() as other:
        page.send("set", setting="slow")
        assert slow.started.acquire(timeout=10)
        for i in range(20):
            assert other.ask("set", setting=i)["setting"] == i
        assert slow.running == 1  # it was under way all the time
    assert until(lambda: slow.running == 0)


def test_a_flood_is_slowed_down_and_bounded_and_starves_nobody(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow().put(monkeypatch)
    with lab.page() as page, lab.page() as other:
        page.send("set", setting="slow")
        assert slow.started.acquire(timeout=10)
        for _ in range(BURST + 50):
            page.send("frames")
        assert other.ask("set", setting=1)["setting"] == 1
        refused = [page.receive() for _ in range(100)]
        full = [r for r in refused if r["type"] == "error"]
        assert full
        assert {r["message"] for r in full} == {
            f"{MOST_WAITING} messages of this page are waiting: wait for answers"
        }
        page.send("cancel")


def test_real_pages_do_not_disturb_each_other(lab: Lab) -> None:
    settings = [{"n": 10 + i, "seed": i, "epochs": 5 + i} for i in range(4)]
    found: dict[int, list[Any]] = {}

    def visit(i: int) -> None:
        with lab.page() as page:
            found[i] = [page.ask("set", setting=settings[i]) for _ in range(3)]

    threads = [threading.Thread(target=visit, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, setting in enumerate(settings):
        alone = Session().answer({"type": "set", "setting": setting})
        for number, run in enumerate(found[i], 1):
            assert run["run"] == number
            assert run["total"] == setting["epochs"]
            assert run["optimum"]["loss"] == pytest.approx(alone["optimum"]["loss"])


def test_pages_are_bounded_and_the_next_one_is_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms_file, "MOST_PAGES", 2)
    assert until(lambda: not lab.rooms.open)
    with lab.page(), lab.page(), lab.page() as third:
        assert third.hello["type"] == "error"
        assert "close some" in third.hello["message"]
        with pytest.raises(ConnectionClosed, match="1013"):
            third.receive()
    assert until(lambda: not lab.rooms.open)
    with lab.page() as page:
        assert page.hello["type"] == "hello"


# Pages that go.


def test_a_closed_page_leaves_nothing(lab: Lab) -> None:
    gone: list[weakref.ref[Any]] = []
    for _ in range(3):
        with lab.page() as page:
            assert lab.put("a.csv", CSV, page.session)[0] == 201
            page.ask("set", setting={"n": 2_000, "degree": 3, "validation": 0.3})
            session = lab.rooms.find(page.session)
            assert session is not None
            gone += [weakref.ref(session), weakref.ref(session.files["file:2"])]
            gc.collect()
            gone += [weakref.ref(o) for o in gc.get_objects() if type(o) is Bench]
            assert left(lab)
            del session
    assert until(lambda: not lab.rooms.open)
    gc.collect()
    assert len(gone) >= 9
    assert {ref() for ref in gone} == {None}
    assert left(lab) == []


def test_a_page_that_breaks_off_stops_its_work(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow().put(monkeypatch)
    with lab.page() as page:
        page.send("set", setting="slow")
        assert slow.started.acquire(timeout=10)
        line = page.socket.socket
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        line.shutdown(socket.SHUT_RDWR)
    assert until(lambda: slow.running == 0)
    assert until(lambda: not lab.rooms.open)


# Files.


def parquet(path: Path) -> bytes:
    pyarrow.parquet.write_table(table(), path / "t.parquet")
    return (path / "t.parquet").read_bytes()


def feather(path: Path) -> bytes:
    pyarrow.feather.write_feather(table(), path / "t.feather", compression="lz4")
    return (path / "t.feather").read_bytes()


def npy(path: Path) -> bytes:
    np.save(path / "t.npy", np.c_[np.arange(50.0), 2 * np.arange(50.0)])
    return (path / "t.npy").read_bytes()


def table() -> Any:
    x = np.arange(50)
    return pa.table({"x": x, "word": [f"w{i % 3}" for i in x], "y": 2.0 * x})


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("t.csv", lambda _: CSV),
        ("T.CSV", lambda _: CSV),
        ("t.tsv", lambda _: CSV.replace(b",", b"\t")),
        ("t.parquet", parquet),
        ("t.feather", feather),
    ],
)
def test_a_file_is_taken_and_described(
    lab: Lab, tmp_path: Path, name: str, make: Callable[[Path], bytes]
) -> None:
    with lab.page() as page:
        status, found = lab.put(name, make(tmp_path), page.session)
        assert (status, found["data"], found["title"]) == (201, "file:2", name)
        assert found["rows"] == 50
        assert found["columns"] == [
            {"name": "x", "kind": "number", "example": "0"},
            {"name": "word", "kind": "category", "example": "w0"},
            {"name": "y", "kind": "number", "example": "0"},
        ]
        assert (found["target"], found["features"]) == ("y", ["x"])
        again = page.ask("describe", data="file:2")
        assert again == {"id": 1, "type": "describe", **found}


def test_arrays_have_columns_too(lab: Lab, tmp_path: Path) -> None:
    with lab.page() as page:
        status, found = lab.put("t.npy", npy(tmp_path), page.session)
        assert (status, found["target"], found["features"]) == (201, "x2", ["x1"])


FAULTS = [
    ("t.csv", b"", "t.csv is empty"),
    ("t.csv", b"x,y\n", "t.csv"),
    ("t.csv", b"x,x\n1,2\n", "more than one column called 'x'"),
    ("t.csv", b"x\n1\n2\n", "t.csv has one column"),
    ("t.csv", b"x,y\na,b\nc,d\n", "t.csv has no column of numbers"),
    ("t.csv", b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "t.csv is an HDF5 file"),
    ("t.csv", b"PK\x03\x04" + b"\0" * 50, "t.csv is an Excel workbook"),
    ("t.parquet", b"PAR1\x15 no more", "cannot read t.parquet"),
    ("t.arrow", b"ARROW1\0\0 no more", "cannot read t.arrow"),
    ("t.feather", b"x,y\n1,2\n", "cannot read t.feather"),
    ("t.npy", b"\x93NUMPY\1\0v\0{'descr': '|O', 'fortran_order': False, "
     b"'shape': (1,), }" + b" " * 58 + b"\n" + b"cos\nsystem\n", "t.npy"),
    ("t.csv.gz", b"\x1f\x8b\x08\0 no more of it", "t.csv.gz"),
    ("t.exe", CSV, "'t.exe' is no file of data"),
    ("t.pkl", b"cos\nsystem\n(S'true'\ntR.", "is no file of data"),
    ("", CSV, "'' is no file of data"),
    (".csv", CSV, "is no file of data"),
    ("t.csv/", CSV, "is no file of data"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "text"), FAULTS)
def test_a_bad_file_is_refused_in_a_sentence_and_not_kept(
    lab: Lab, name: str, body: bytes, text: str
) -> None:
    with lab.page() as page:
        status, found = lab.put(name, body, page.session)
        assert status == 400
        assert text in found["message"]
        assert "gradline-lab-" not in found["message"]
        assert "\n" not in found["message"]
        assert left(lab) == []
        assert page.ask("describe", data="file:2")["type"] == "error"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("../../../../tmp/evil.csv", "evil.csv"),
        ("..\\..\\evil.csv", "evil.csv"),
        ("/etc/cron.d/evil.csv", "evil.csv"),
        ("...evil.csv", "evil.csv"),
        ("a\0b\nc.csv", "a_b_c.csv"),
        ("<script>.csv", "_script_.csv"),
        ("C:evil.csv", "C_evil.csv"),
        ("x" * 300 + ".csv", "x" * 56 + ".csv"),
        ("😀" * 300 + ".csv", "😀" * 56 + ".csv"),
        ("données été.csv", "données été.csv"),
    ],
)
def test_a_name_leads_nowhere_else(lab: Lab, name: str, title: str) -> None:
    with lab.page() as page:
        status, found = lab.put(name, CSV, page.session)
        assert (status, found["title"]) == (201, title)
        files = [f for f in left(lab) if f.is_file()]
        assert [f.name for f in files] == [title]


def test_a_file_belongs_to_one_page(lab: Lab) -> None:
    with lab.page() as page, lab.page() as other:
        for session in ("", "x", page.session + "x"):
            status, found = lab.put("t.csv", CSV, session)
            assert status == 403
            assert found["message"] == "this page is not open here: reload it"
        assert lab.put("t.csv", CSV, page.session)[1]["data"] == "file:2"
        assert "open the file again" in other.ask("describe", data="file:2")["message"]
    assert until(lambda: not lab.rooms.open)
    assert lab.put("t.csv", CSV, page.session)[0] == 403


def test_files_of_a_page_are_bounded(lab: Lab) -> None:
    with lab.page() as page:
        for i in range(MOST_FILES):
            assert lab.put("t.csv", CSV, page.session)[1]["data"] == f"file:{i + 2}"
        status, found = lab.put("t.csv", CSV, page.session)
        assert status == 400
        assert found["message"].startswith(f"this page has {MOST_FILES} files open")


def test_a_file_can_be_closed(lab: Lab) -> None:
    with lab.page() as page:
        assert lab.put("t.csv", CSV, page.session)[1]["data"] == "file:2"
        assert page.ask("close", data="file:2")["type"] == "close"
        assert "open the file again" in page.ask("describe", data="file:2")["message"]
        assert page.ask("close", data="file:2")["type"] == "error"


def test_a_decimal_comma_is_hinted_at_and_taken(lab: Lab) -> None:
    body = b"x;y\n0,5;1,5\n1,0;2,0\n1,5;2,75\n"
    with lab.page() as page:
        status, found = lab.put("t.csv", body, page.session)
        assert status == 400
        assert "decimal mark is a comma" in found["message"]
        session = f"{page.session}&decimal=,&delimiter=;"
        status, found = lab.put("t.csv", body, session)
        assert status == 201
        assert {c["kind"] for c in found["columns"]} == {"number"}
        status, found = lab.put("t.csv", body, f"{page.session}&decimal=x")
        assert status == 400


def test_an_encoding_is_taken(lab: Lab) -> None:
    body = "x,Größe,y\n1,й,2\n2,й,3\n3,ж,5\n".encode("utf-16")
    with lab.page() as page:
        status, found = lab.put("t.csv", body, f"{page.session}&encoding=utf-16")
        assert (status, found["columns"][1]["name"]) == (201, "Größe")
        assert lab.put("t.csv", body, f"{page.session}&encoding=what")[0] == 400
        wrong = f"{page.session}&encoding=cp1251"
        status, found = lab.put("t.csv", body, wrong)
        assert status == 400
        assert "choose the encoding UTF-16" in found["message"]


@pytest.mark.parametrize(
    "name", ["x", "Fläche m²", "it's (new), so", "-x", 'a "b" \\ c']
)
def test_advice_is_in_words_for_a_page(name: str) -> None:
    ids = [f"n{i}" for i in range(60)]
    commas = [f"{i},5" for i in range(60)]
    stray = ["-", *(f"{i}.5" for i in range(59))]
    for values, options, said in [
        (ids, {}, "so it looks like a name or an id: choose other features"),
        (commas, {}, "choose Comma under Decimal and read the file again; thousands"),
        (stray, {}, ", or choose other features"),
        ([1.0, 2.0] * 30, {"degree": 3}, "give a lower degree, or choose another"),
    ]:
        with pytest.raises(DataError) as caught:
            gl.fit({name: values, "y": list(range(60))}, target="y", **options)  # type: ignore[arg-type]
        words = for_page(str(caught.value))
        assert said in words
        words = words.replace(repr(name), "")
        for wrong in ("--", "exclude", "categories=", "decimal="):
            assert wrong not in words, words
    assert for_page("mend it") == "mend it"
    assert for_page("do so (--minimum-norm), or not") == "do so, or not"


def test_one_row_is_refused_at_once(lab: Lab) -> None:
    with lab.page() as page:
        status, found = lab.put("t.csv", b"x,y\n1,2\n", page.session)
    assert status == 400
    assert "has one row" in found["message"]


def test_a_file_too_large_is_refused_whether_it_says_so_or_not() -> None:
    with running(most_upload=len(CSV)) as lab, lab.page() as page:
        assert lab.put("t.csv", CSV, page.session)[0] == 201
        kept = left(lab)
        for body in (CSV + b"1", iter([CSV, b"1"])):  # with its length, and in chunks
            status, found = lab.put("t.csv", body, page.session)
            assert status == 413
            assert found["message"].startswith(f"the file is larger than {len(CSV)}")
            assert left(lab) == kept


def test_a_full_disk_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "SPARE", 10**18)
    with lab.page() as page:
        for body in (CSV, iter([CSV])):
            status, found = lab.put("t.csv", body, page.session)
            assert status == 413
            assert "free some space" in found["message"]
            assert left(lab) == []


def begun(lab: Lab, session: str) -> socket.socket:
    """An upload that has come to half."""
    line = socket.create_connection(("127.0.0.1", lab.port), 10)
    head = f"PUT /files?name=t.csv&session={session} HTTP/1.1\r\nHost: localhost\r\n"
    line.sendall(f"{head}Content-Length: 3000000\r\n\r\n".encode() + b"1" * 1_500_000)
    assert until(lambda: any(f.is_file() for f in left(lab)))
    return line


def test_an_upload_that_breaks_off_leaves_nothing(lab: Lab) -> None:
    with lab.page() as page:
        begun(lab, page.session).close()
        assert until(lambda: left(lab) == [])
        assert lab.put("t.csv", CSV, page.session)[1]["data"] == "file:2"


def test_an_upload_whose_page_is_gone_leaves_nothing(lab: Lab) -> None:
    with lab.page() as page:
        line = begun(lab, page.session)
    assert until(lambda: not lab.rooms.open)
    with line:
        line.sendall(b"1" * 1_500_000)
        assert line.makefile("rb").readline().split()[1] == b"400"
    assert until(lambda: left(lab) == [])


def test_an_upload_that_stalls_is_given_up(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PATIENCE", 0.2)
    with lab.page() as page, begun(lab, page.session) as line:
        assert line.makefile("rb").readline().split()[1] == b"408"
        assert until(lambda: left(lab) == [])


def test_the_file_of_the_command_line_is_shared(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(CSV)
    given = open_data(tmp_path / "t.csv", target="x", features=["y", "word"])
    with running(given) as lab:
        for _ in range(2):
            with lab.page() as page:
                found = page.hello["file"]
                assert (found["data"], found["title"]) == ("file:1", "t.csv")
                assert (found["target"], found["features"]) == ("x", ["y", "word"])
                session = lab.rooms.find(page.session)
                assert session is not None
                assert session.files["file:1"] is given
    assert (tmp_path / "t.csv").exists()


def test_what_is_remembered_is_made_once_and_bounded() -> None:
    opened = open_data({"x": [1.0, 2.0], "y": [1.0, 2.0]})
    made: list[int] = []
    for key in [0, 0, 1, 2, 3, 0, 4, 1]:
        opened.remember(key, lambda key=key: made.append(key) or [key])
    assert MOST_REMEMBERED == 4
    assert made == [0, 1, 2, 3, 4, 1]


def test_the_likeliest_target_and_feature() -> None:
    random = np.random.default_rng(0)
    z = random.normal(size=200)
    data = {
        "day": pa.array(["2024-01-01"] * 200).cast(pa.date32()),
        "noise": random.normal(size=200),
        "same": np.ones(200),
        "z": z,
        "large": np.full(200, 2**60 + 1),
        "y": 3 * z + 0.1 * random.normal(size=200),
        "year": [2024, 2025] * 100,
        "id": np.arange(7, 207),
        "name": ["a"] * 200,
    }
    opened = open_data(pa.table(data))
    assert (opened.target, opened.features) == ("y", ("z",))
    kinds = {c["name"]: (c["kind"], c["example"]) for c in opened.columns}
    assert kinds["day"] == ("other", "")
    assert kinds["large"] == ("number", "")  # more digits than can be shown truly
    assert kinds["name"] == ("category", "a")
    with pytest.raises(gl.ColumnError, match="did you mean 'noise'"):
        open_data(pa.table(data), target="nois")
    with pytest.raises(gl.ColumnError, match="did you mean 'same'"):
        open_data(pa.table(data), features=["sam"])
    with pytest.raises(DataError, match="the target 'name' holds string values"):
        open_data(pa.table(data), target="name")


def test_files_after_the_page_is_closed(tmp_path: Path) -> None:
    files = Files()
    opened = open_data({"x": [1.0, 2.0], "y": [1.0, 2.0]})
    folder = tmp_path / "own"
    folder.mkdir()
    assert files.add(opened, folder) == "file:2"
    files.close()
    assert not folder.exists()
    with pytest.raises(UsageError, match="open the file again"):
        files["file:2"]
    with pytest.raises(UsageError, match="the page is closed"):
        files.add(opened, folder)


# The command.


class Command:
    """`gradline lab` as a process, once it has said its address."""

    def __init__(self, *words: str, json_out: bool = False, **env: str) -> None:
        flags = ["--json"] if json_out else []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gradline", "lab", *words, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | env,
        )
        assert self.process.stdout is not None
        self.said = b""
        for line in self.process.stdout:
            self.said += line
            if line.startswith(b"}" if json_out else b"The lab is at"):
                break
        self.port = 0
        if b"http://" in self.said:
            self.port = int(
                self.said.split(b"http://")[1].split(b":")[1].split(b"/")[0]
            )

    def end(self, number: int = signal.SIGINT) -> tuple[int, bytes, bytes]:
        """Exit code, the rest of standard output, standard error."""
        self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=20)
        return self.process.returncode, out, errors


def test_command_with_data_json_browser_and_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(CSV.replace(b",", b";"))
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/seen; echo noise\n')
    browser.chmod(0o755)
    words = [
        str(tmp_path / "t.csv"),
        "--target",
        "x",
        "--delimiter",
        ";",
        "--port",
        "0",
    ]
    run = Command(*words, json_out=True, BROWSER=f"{browser} %s", TMPDIR=str(tmp_path))
    facts = json.loads(run.said)
    assert facts["command"] == "lab"
    assert (facts["target"], facts["features"]) == ("x", ["y"])
    lab = Lab(run.port, None)  # type: ignore[arg-type]
    with lab.page() as page:
        assert page.hello["file"]["target"] == "x"
        assert lab.put("t.csv", CSV, page.session)[0] == 201
        assert len(list(tmp_path.glob("gradline-lab-*/*/t.csv"))) == 1
        page.ask("set", setting={})
        assert until(lambda: (tmp_path / "seen").exists())
        assert (tmp_path / "seen").read_text().strip() == facts["address"]
        assert run.end() == (130, b"", b"gradline: the lab is closed\n")
    assert list(tmp_path.glob("gradline-lab-*")) == []


def test_command_restarts_on_its_port_and_ends_by_a_signal(tmp_path: Path) -> None:
    run = Command("--no-browser", "--port", "0", TMPDIR=str(tmp_path))
    port = str(run.port)
    lab = Lab(run.port, None)  # type: ignore[arg-type]
    with lab.page() as page:
        assert lab.put("t.csv", CSV, page.session)[0] == 201
        with begun_at(run.port, page.session):
            assert run.end(signal.SIGTERM) == (143, b"", b"")
    assert list(tmp_path.iterdir()) == []
    run = Command("--no-browser", "--port", port, "--host", "0.0.0.0")
    assert (
        run.said
        == f"The lab is at http://127.0.0.1:{port}/ (Ctrl-C ends it)\n".encode()
    )
    busy = subprocess.run(
        [sys.executable, "-m", "gradline", "lab", "--no-browser", "--port", port],
        capture_output=True,
        check=False,
    )
    assert (busy.returncode, busy.stdout) == (2, b"")
    assert busy.stderr.decode() == (
        f"gradline: cannot listen on 127.0.0.1:{port} (Address already in use): give "
        "another --port, or --port 0 for any that is free\n"
    )
    code, _, errors = run.end()
    assert code == 130
    assert b"note: Anyone who can reach this machine at 0.0.0.0 can use" in errors


def begun_at(port: int, session: str) -> socket.socket:
    """An upload that hangs, at a lab in another process."""
    line = socket.create_connection(("127.0.0.1", port), 10)
    head = f"PUT /files?name=t.csv&session={session} HTTP/1.1\r\nHost: localhost\r\n"
    line.sendall(f"{head}Content-Length: 3000000\r\n\r\n".encode() + b"1" * 1_500_000)
    return line


def test_a_busy_default_port_falls_to_the_next_free_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with bound("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(listening, "FIRST_PORT", port)
        with listening.listening("127.0.0.1", None) as other:
            assert other.getsockname()[1] > port
        with pytest.raises(UsageError, match="cannot listen on"):
            listening.listening("127.0.0.1", port)
    with pytest.raises(UsageError, match="no address of this machine"):
        bound("no.such.host.invalid", 0)
    with pytest.raises(UsageError, match="no address of this machine"):
        bound("203.0.113.7", 0)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["nowhere.csv"], "there is no file 'nowhere.csv'"),
        (["t.csv", "--target", "yy"], "t.csv has no column 'yy': did you mean 'y'?"),
        (["t.csv", "--target", "word"], "the target 'word' holds string values"),
        (["t.csv", "--features", "z"], "t.csv has no column 'z'"),
        (["--target", "y"], "--target is given and no data"),
        (["--delimiter", ";"], "--delimiter is given and no data"),
        (["--host", "203.0.113.7"], "203.0.113.7', which is no address of this"),
    ],
)
def test_a_wrong_command_is_told_before_anything_opens(
    words: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from gradline import cli, cli_lab

    def opened(_: str) -> None:
        raise AssertionError("the browser was opened")

    monkeypatch.setattr(cli_lab, "open_browser", opened)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_bytes(CSV)
    assert cli.main(["lab", *words]) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith("gradline: ")
    assert text in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("flag", "value"), [("--port", "70000"), ("--port", "x"), ("--max-upload", "much")]
)
def test_flags_that_cannot_be_meant(
    flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from gradline import cli

    with pytest.raises(SystemExit) as stop:
        cli.main(["lab", flag, value])
    assert stop.value.code == 2
    assert f"'{value}' is no" in capsys.readouterr().err


def test_sizes() -> None:
    from gradline.options import build_parser

    for text, size in [
        ("5", 5),
        ("500MB", 5 * 10**8),
        ("2 gb", 2 * 10**9),
        ("1k", 1000),
    ]:
        assert (
            build_parser().parse_args(["lab", "--max-upload", text]).max_upload == size
        )
