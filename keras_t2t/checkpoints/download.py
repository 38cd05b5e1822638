"""Downloads one file, whole or not at all.

`keras.utils.get_file` has no limits of time and size, knows neither SHA-384 nor
SHA-512, and raises the same error for everything that can go wrong.
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
SECONDS = 2 * 3600  # at most, for a whole file
BYTES = 2 << 30  # at most, of a file; the largest of the release has 0.6 GB
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
    """Raises a ValueError if a file, called `name` there, has another SHA-256, SHA-384
    or SHA-512 than `expected`, in hexadecimal; None if it is not known."""
    if expected is None:
        return
    bits = 4 * len(expected)
    if (digest := digest_of(path, f"sha{bits}")) != expected:
        raise ValueError(
            f"{name or path} has the SHA-{bits} {digest}, expected {expected}: it is "
            "damaged or not the published file"
        )


def download(url, path, checksum=None):
    """Downloads `url` to `path`, where it appears when it is complete and checked.

    Raises:
        FileNotFoundError: if the server has no such file.
        ConnectionError: if there is no network, the server fails, the connection ends
            before the announced length, or the file is larger than `BYTES` or takes
            longer than `SECONDS`.
        ValueError: if `url` is no HTTP address, or the file has another checksum.
    """
    if not ADDRESS.fullmatch(url):
        raise ValueError(
            f"{url!r} is no address to download from: it must be http:// or https://, "
            "a server and a path, without spaces or characters beyond ASCII"
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
    """Writes the server's answer to `path`, with a progress bar; raises a
    ConnectionError if it is cut off, too large or too slow."""
    end = time.monotonic() + SECONDS
    with _answer(url) as response, open(path, "wb") as file:
        # None if the server does not say.
        announced = getattr(response, "length", None)
        if announced is not None and announced > BYTES:
            raise ConnectionError(f"it has {announced} bytes, more than {BYTES}")
        progress = keras.utils.Progbar(announced, unit_name="byte")
        received = 0
        while chunk := response.read1(CHUNK):  # does not wait for a whole chunk
            file.write(chunk)
            received += len(chunk)
            if received > BYTES:
                raise ConnectionError(f"it has more than {BYTES} bytes")
            if time.monotonic() > end:
                raise ConnectionError(f"it did not come within {SECONDS} seconds")
            progress.update(received, finalize=False)
        progress.update(received, finalize=True)
    if announced not in (None, received):
        raise ConnectionError(f"it was cut off: {received} of {announced} bytes came")


def _answer(url):
    """The server's answer, with headers read, within `SECONDS` in all.

    `urlopen` limits only the time between two bytes.
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
