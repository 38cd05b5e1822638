"""One file from the network, whole or not at all."""

import hashlib
import http.client
import queue
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import keras

from keras_t2t.files import replacing

TIMEOUT = 60  # seconds without an answer
SECONDS = 2 * 3600  # for the whole of a file
BYTES = 2 << 30  # of a file; the largest of the release has 0.6 GB
CHUNK = 1 << 20  # bytes


def sha256_of(path):
    """SHA-256 of a file, in hexadecimal."""
    return digest_of(path, "sha256")


def digest_of(path, algorithm):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def check_digest(path, expected, name=None):
    """Compares a file with what is known of it.

    Args:
        path: of the file.
        expected: its SHA-256, SHA-384 or SHA-512 in hexadecimal, told by the length;
            None where it is not known.
        name: what to call the file in the error; None for its path.

    Raises:
        ValueError: if the file is another one.
    """
    if expected is None:
        return
    algorithm = {64: "SHA-256", 96: "SHA-384", 128: "SHA-512"}[len(expected)]
    found = digest_of(path, algorithm.replace("-", "").lower())
    if found != expected:
        raise ValueError(
            f"{name or path} has the {algorithm} {found}, expected {expected}: it is "
            "damaged or not the published file"
        )


def download(url, path, checksum=None):
    """Downloads `url` to `path` with a progress bar, through a temporary file.

    Args:
        url: what to fetch.
        path: where the whole, checked file appears.
        checksum: as of `check_digest`.

    Raises:
        FileNotFoundError: if the server has no such file.
        ConnectionError: if there is no network, the server fails, the connection ends
            before the announced length, or the file is larger than `BYTES` or takes
            longer than `SECONDS`.
        ValueError: if `url` is none of HTTP, or the file has another checksum.
    """
    check_url(url)
    with replacing(path) as temporary:
        try:
            received, announced = _fetch(url, temporary)
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise FileNotFoundError(
                    f"{url} does not exist (HTTP {error.code})"
                ) from None
            raise ConnectionError(
                f"{url} could not be downloaded: the server answered HTTP "
                f"{error.code} {short(error.reason)}"
            ) from None
        except urllib.error.URLError as error:
            raise ConnectionError(
                f"{url} could not be downloaded, is there a network? "
                f"{short(error.reason)}"
            ) from None
        except _Refused as error:
            raise ConnectionError(f"{url} could not be downloaded: {error}") from None
        except (
            http.client.HTTPException,
            ConnectionError,
            TimeoutError,
            ssl.SSLError,
        ) as error:
            raise ConnectionError(
                f"the connection broke while downloading {url}: {short(error)}"
            ) from None
        if announced is not None and received != announced:
            raise ConnectionError(
                f"the download of {url} was cut: {received} of {announced} bytes came"
            )
        check_digest(temporary, checksum, url)


def short(reason):
    """What a library says of an error, as the end of one line."""
    text = reason if isinstance(reason, str) else repr(reason)
    text = " ".join(text.split())
    return text if len(text) < 200 else f"{text[:200]}..."


class _Refused(Exception):
    """What the server sends is not waited for."""


def check_url(url):
    """Refuses what is no web address.

    Raises:
        ValueError: if so.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # raises where it is no number
    except ValueError:
        valid = False
    if not valid or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(
            f"{url!r} is no address to download from: it must begin with http:// or "
            "https:// and a server, and hold no spaces or characters beyond ASCII"
        )


def _announced(response):
    """The length that the server announces in bytes, None if it does not.

    Raises:
        _Refused: if that is no length, or too much.
    """
    length = response.headers.get("Content-Length")
    if length is None:
        return None
    if not length.isascii() or not length.isdigit() or len(length) > 20:
        raise _Refused(f"the server announces a length of {length[:50]!r} bytes")
    if int(length) > BYTES:
        raise _Refused(f"it has {length} bytes, and no more than {BYTES} are fetched")
    return int(length)


def _fetch(url, path):
    """Writes the body to `path`; returns the bytes received and those announced."""
    request = urllib.request.Request(url, headers={"User-Agent": "keras-t2t"})
    print(f"Downloading {url}")
    end = time.monotonic() + SECONDS
    with (
        _answer(request) as response,
        Path(path).open("wb") as file,
    ):
        announced = _announced(response)
        progress = keras.utils.Progbar(announced, unit_name="byte")
        received = 0
        while chunk := response.read1(CHUNK):  # what has come, to look at the clock
            file.write(chunk)
            received += len(chunk)
            if received > BYTES:
                raise _Refused(f"it has more than {BYTES} bytes")
            if time.monotonic() > end:
                raise _Refused(f"it did not come within {SECONDS} seconds")
            progress.update(received, finalize=False)
        progress.update(received, finalize=True)
    return received, announced


def _answer(request):
    """What the server answers, its headers read, within `SECONDS` in all; `urlopen`
    alone limits only the time between two bytes."""
    answers = queue.SimpleQueue()

    def ask():
        try:
            answers.put((urllib.request.urlopen(request, timeout=TIMEOUT), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=ask, daemon=True).start()
    try:
        response, error = answers.get(timeout=max(0, SECONDS))
    except queue.Empty:
        raise _Refused(f"no answer came within {SECONDS} seconds") from None
    if error is not None:
        raise error
    return response
