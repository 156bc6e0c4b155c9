"""What a strange machine denies, in every Python process that has this folder on PYTHONPATH.

FAULTS_WRITE names the error of every attempt to write a file or make a folder, such as ENOSPC (the disk is full) or EROFS (it is
read-only); FAULTS_NETWORK=no refuses every connection to another machine, and FAULTS_FONTS=no hides the system's fonts. With
FAULTS_LATER=yes a process asks for it itself, once it has loaded what needs a file of its own.
"""

import errno
import os
import sys

WRITE = os.environ.get("FAULTS_WRITE", "")
NETWORK = os.environ.get("FAULTS_NETWORK") == "no"
FONTS = os.environ.get("FAULTS_FONTS") == "no"
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
HERE = ("127.", "localhost", "::1", "0.0.0.0")


def _deny(event: str, arguments: tuple) -> None:
    if event == "open":
        path, _mode, flags = arguments
        name = os.fsdecode(path) if isinstance(path, str | bytes) else ""
        if WRITE and flags & WRITING and name and not name.startswith(("/dev/", "/proc/")):
            _fail(WRITE, name)
        if FONTS and name.startswith(("/usr/share/fonts", "/usr/local/share/fonts")):
            _fail("ENOENT", name)
    elif event == "os.mkdir" and WRITE:
        _fail(WRITE, os.fsdecode(arguments[0]))
    elif event == "socket.connect" and NETWORK:
        address = arguments[1]
        if isinstance(address, tuple) and not str(address[0]).startswith(HERE):
            _fail("ENETUNREACH", str(address))
    elif event == "socket.getaddrinfo" and NETWORK and not str(arguments[0]).startswith(HERE):
        _fail("ENETUNREACH", str(arguments[0]))


def _fail(name: str, what: str) -> None:
    number = getattr(errno, name)
    raise OSError(number, os.strerror(number), what)


def begin() -> None:
    """Deny from now on, in this process and in those that it starts."""
    os.environ.pop("FAULTS_LATER", None)
    if WRITE or NETWORK or FONTS:
        sys.addaudithook(_deny)


if os.environ.get("FAULTS_LATER") != "yes":
    begin()
