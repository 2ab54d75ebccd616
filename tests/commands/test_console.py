"""The console: any encoding, a pipe that is closed, Ctrl-C, and what swallows it."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from psgd_ref.cli import main
from psgd_ref.commands.console import CLOSED_PIPE, INTERRUPTED, print_in_any_encoding

posix = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
PROGRAM = [sys.executable, "-m", "psgd_ref"]
NARROW = [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}]


def printed(encoding, words, monkeypatch):
    """What a command writes to a console of that encoding."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding))
    with suppress(SystemExit):
        assert main(words) == 0
    return written.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "shift-jis"])
@pytest.mark.parametrize("words", ["compare --list", "train --help", "data list", "evaluate --help"])
def test_a_narrow_console_gets_what_it_can_print(words, encoding, monkeypatch):
    full = printed("utf-8", words.split(), monkeypatch)
    escaped = printed(encoding, words.split(), monkeypatch)
    # Letters that are missing are escaped, as \u00d7; all others stay as they are.
    assert re.sub(r"\\u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), escaped) == full
    for letter in set(full):
        assert (letter in escaped) == (letter.encode(encoding, "ignore") != b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_json_on_a_narrow_console_is_the_same_json(encoding, monkeypatch):
    words = ["compare", "--list", "--json"]
    full = printed("utf-8", words, monkeypatch)
    assert not full.isascii()
    assert json.loads(printed(encoding, words, monkeypatch)) == json.loads(full)


def test_letters_of_any_kind_are_escaped_as_json_reads_them(monkeypatch):
    text = "é€𝛌\ud800"
    print_in_any_encoding()
    assert json.loads('"' + text.encode("ascii", "psgd_ref.escaped").decode() + '"') == text


@posix
@pytest.mark.parametrize("settings", NARROW, ids=["encoding", "locale"])
def test_a_process_with_a_narrow_console(settings):
    done = subprocess.run(
        [*PROGRAM, "data", "list"], capture_output=True, check=False, env=os.environ | settings, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u00d7" in done.stdout


@posix
def test_output_that_nobody_reads_is_dropped_in_silence():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*PROGRAM, "data", "list"], stdout=writing, stderr=subprocess.PIPE, check=False, timeout=100
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (CLOSED_PIPE, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_on_a_full_disk_is_an_error_in_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run([*PROGRAM, "data", "list"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"No space left" in done.stderr


def workers(parent):
    """The processes that work for another, by /proc: its children that were spawned, without the tracker."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            begun_by = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if begun_by == parent and b"spawn_main" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def heard():
    """In the process that is started: Ctrl-C is heard, although a shell's background ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def alive(process):
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@posix
@pytest.mark.parametrize(
    ("words", "delay"),
    [
        ("demo --seeds 20 --workers 2", 0.0),
        ("compare --task training --workers 2", 0.4),
    ],
)
def test_ctrl_c_ends_the_command_and_its_workers_at_once(words, delay, tmp_path):
    settings = {"start_new_session": True, "stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    settings["preexec_fn"] = heard
    process = subprocess.Popen([*PROGRAM, *words.split()], cwd=tmp_path, text=True, **settings)
    deadline = time.monotonic() + 60
    while not (children := workers(process.pid)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(delay)
    children = workers(process.pid)
    pressed = time.monotonic()
    # A terminal sends it to all processes of the group.
    os.killpg(process.pid, signal.SIGINT)
    while any(map(alive, children)):
        # Two seconds on a computer that has nothing else to do.
        assert time.monotonic() < pressed + 15
        time.sleep(0.01)
    out, error = process.communicate(timeout=30)
    command = words.split()[0]
    assert (process.returncode, out) == (INTERRUPTED, "")
    said = [line for line in error.splitlines() if "compiling kernels" not in line]
    # A worker that is killed while it starts may have left more of its own words behind this line.
    assert said[0] == f"psgd-ref {command}: interrupted"
    assert "leaked" not in error


SWALLOWED = """
import sys, time
from psgd_ref import cli
def swallow(options):
    print("ready", flush=True)
    while True:
        try:
            time.sleep(100)
        except KeyboardInterrupt:
            pass
import psgd_ref.commands.data as data
data._list = swallow
sys.exit(cli.main(["data", "list"]))
"""


@posix
def test_an_interrupt_that_is_swallowed_ends_the_process_all_the_same():
    process = subprocess.Popen(
        [sys.executable, "-c", SWALLOWED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heard,  # noqa: PLW1509  (this process has no other threads that matter)
    )
    assert process.stdout.readline() == "ready\n"
    pressed = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert time.monotonic() - pressed < 15
    assert (process.returncode, error) == (INTERRUPTED, "psgd-ref data: interrupted\n")
