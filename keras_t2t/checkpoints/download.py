"""One file from the network, whole or not at all.

Not by `keras.utils.get_file`, which has no limits of time and size, knows neither
SHA-384 nor SHA-512, and raises one kind of error for all that can go wrong.
"""

import hashlib
import http.client
import queue
import re
import ssl
import threading
import time
import urllib.error
import urllib.request

import keras

from keras_t2t._ground.arguments import reason
from keras_t2t._ground.files import replacing

TIMEOUT = 60  # seconds without an answer
SECONDS = 2 * 3600  # for the whole of a file
BYTES = 2 << 30  # of a file; the largest of the release has 0.6 GB
CHUNK = 1 << 20  # bytes
NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)
SERVER = r"([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?"
ADDRESS = re.compile(rf"https?://{SERVER}/[!-~]*", re.ASCII)


def digest_of(path, algorithm="sha256"):
    """A checksum of a file, in hexadecimal."""
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
    bits = 4 * len(expected)
    if (found := digest_of(path, f"sha{bits}")) != expected:
        raise ValueError(
            f"{name or path} has the SHA-{bits} {found}, expected {expected}: it is "
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
    if not ADDRESS.fullmatch(url):
        raise ValueError(
            f"{url!r} is no address to download from: it must begin with http:// or "
            "https:// and a server, and hold no spaces or characters beyond ASCII"
        )
    print(f"Downloading {url}")
    with replacing(path) as temporary:
        try:
            _fetch(url, temporary)
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise FileNotFoundError(
                    f"{url} does not exist (HTTP {error.code})"
                ) from None
            raise ConnectionError(
                f"{url} could not be downloaded: {reason(error)}"
            ) from None
        except NETWORK_ERRORS as error:
            raise ConnectionError(
                f"{url} could not be downloaded, is there a network? {reason(error)}"
            ) from None
        check_digest(temporary, checksum, url)


def _fetch(url, path):
    """Writes what the server sends to `path`.

    Raises:
        ConnectionError: it is cut, too large or too slow; others of `urllib`.
    """
    end = time.monotonic() + SECONDS
    with _answer(url) as response, open(path, "wb") as file:
        # None where the server does not say; an answer of FTP has no such field.
        announced = getattr(response, "length", None)
        if announced is not None and announced > BYTES:
            raise ConnectionError(f"it has {announced} bytes, more than {BYTES}")
        progress = keras.utils.Progbar(announced, unit_name="byte")
        received = 0
        while chunk := response.read1(CHUNK):  # does not wait for all of it
            file.write(chunk)
            received += len(chunk)
            if received > BYTES:
                raise ConnectionError(f"it has more than {BYTES} bytes")
            if time.monotonic() > end:
                raise ConnectionError(f"it did not come within {SECONDS} seconds")
            progress.update(received, finalize=False)
        progress.update(received, finalize=True)
    if announced not in (None, received):
        raise ConnectionError(f"it was cut: {received} of {announced} bytes came")


def _answer(url):
    """What the server answers, its headers read, within `SECONDS` in all.

    `urlopen` alone limits only the time between two bytes.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "keras-t2t"})
    answers = queue.SimpleQueue()

    def ask():
        try:
            answers.put(urllib.request.urlopen(request, timeout=TIMEOUT))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=max(0, SECONDS))
    except queue.Empty:
        raise ConnectionError(f"no answer came within {SECONDS} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
