"""A way to JAX's coordinator that does not close when the coordinator dies.

JAX aborts a process from C++, with a stack trace, at the moment in which its connection
to the coordinator closes. Through a relay in the process itself it does not see that,
and `watch.Watch` can say in one line who has died.
"""

import contextlib
import socket
import threading


def relayed(host, port):
    """The address ("host:port") of a relay to this one, for as long as the process
    lives."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            near, _ = server.accept()
            try:
                far = socket.create_connection((host, port))
            except OSError:
                near.close()
                continue
            _start(_copy, near, far, True)
            _start(_copy, far, near, False)

    _start(serve)
    return f"127.0.0.1:{server.getsockname()[1]}"


def _copy(source, target, close):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        if close:
            target.shutdown(socket.SHUT_WR)


def _start(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()
