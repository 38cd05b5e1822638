"""Headless Chromium over pages on localhost, where nothing else can be reached."""

import contextlib
import functools
import http.server
import shutil
import threading

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Chromium and its driver"
)
SECONDS = 120
FLAGS = (
    "--headless=new --no-sandbox --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-quic --disable-dev-shm-usage "
    "--use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
).split()
WEBGPU = (
    "--enable-unsafe-webgpu --use-webgpu-adapter=swiftshader "
    "--enable-features=Vulkan --use-vulkan=swiftshader"
).split()
# Whatever asks for anything outside gets an error, which the console shows.
LOCAL = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def served(folder, handler=Quiet):
    """The address at which a folder is served, as by `python -m http.server`."""
    handler = functools.partial(handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def chromium(width=1200, height=900, dark=False, gpu=False):
    """A `selenium` driver of a window, or, below 600 px, a phone; `gpu`: with WebGPU,
    which the CPU computes."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, *(WEBGPU if gpu else ["--disable-gpu"]), LOCAL):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.set_script_timeout(SECONDS)
        # The window of a headless browser has a least width; a phone's is emulated.
        screen = {"width": width, "height": height, "deviceScaleFactor": 1}
        screen["mobile"] = width < 600
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        yield driver
    finally:
        driver.quit()


@contextlib.contextmanager
def opened(folder, handler=Quiet, page="", **window):
    """A driver that shows a page of a folder."""
    with served(folder, handler) as address, chromium(**window) as driver:
        driver.get(address + page)
        yield driver


def wait_for_state(driver, *states):
    """Waits until the page says that it is in one of the states; returns it."""
    states = ", ".join(map(repr, states))
    script = "const state = document.documentElement.dataset.state;"
    return wait_until(driver, f"{script} return [{states}].includes(state) && state")


def wait_until(driver, script):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, SECONDS).until(lambda d: d.execute_script(script))


def complaints(driver):
    """What the console logged as an error."""
    lines = driver.get_log("browser")
    return [line["message"] for line in lines if line["level"] == "SEVERE"]


def overflows(driver):
    """Whether the page is wider than the window."""
    wider = "document.documentElement.scrollWidth > window.innerWidth"
    return driver.execute_script(f"return {wider}")
