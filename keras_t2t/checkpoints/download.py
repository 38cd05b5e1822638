"""One file from the network, whole or not at all."""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

import keras

from keras_t2t.checkpoints.writing import replacing

TIMEOUT = 60  # seconds without an answer
CHUNK = 1 << 20  # bytes


def sha256_of(path):
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(url, path, sha256=None):
    """Downloads `url` to `path` with a progress bar, through a temporary file.

    Args:
        url: what to fetch.
        path: where the whole, checked file appears.
        sha256: its SHA-256 in hexadecimal, None where it is not known.

    Raises:
        FileNotFoundError: if the server has no such file.
        ConnectionError: if there is no network, the server fails, or the connection
            ends before the announced length.
        ValueError: if the file has another SHA-256.
    """
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
                f"{error.code} {error.reason}"
            ) from None
        except urllib.error.URLError as error:
            raise ConnectionError(
                f"{url} could not be downloaded, is there a network? {error.reason}"
            ) from None
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            raise ConnectionError(
                f"the connection broke while downloading {url}: {error!r}"
            ) from None
        if announced is not None and received != announced:
            raise ConnectionError(
                f"the download of {url} was cut: {received} of {announced} bytes came"
            )
        if sha256 is not None and sha256_of(temporary) != sha256:
            raise ValueError(
                f"{url} has the SHA-256 {sha256_of(temporary)}, expected {sha256}: "
                "the file is damaged or not the one that was published"
            )


def _fetch(url, path):
    """Writes the body to `path`; returns the bytes received and those announced."""
    request = urllib.request.Request(url, headers={"User-Agent": "keras-t2t"})
    print(f"Downloading {url}")
    with (
        urllib.request.urlopen(request, timeout=TIMEOUT) as response,
        Path(path).open("wb") as file,
    ):
        length = response.headers.get("Content-Length")
        announced = int(length) if length is not None else None
        progress = keras.utils.Progbar(announced, unit_name="byte")
        received = 0
        while chunk := response.read(CHUNK):
            file.write(chunk)
            received += len(chunk)
            progress.update(received, finalize=False)
        progress.update(received, finalize=True)
    return received, announced
