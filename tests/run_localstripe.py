"""Runs PyPI's localstripe on loopback only, for as long as stdin is open.

By itself it listens on all interfaces, and outlives tests that are killed.
"""

import os
import runpy
import socket
import sys
import threading


class LoopbackSocket(socket.socket):
    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        if family == socket.AF_INET6 and fileno is None:
            family = socket.AF_INET
        super().__init__(family, type, proto, fileno)

    def bind(self, address):
        super().bind(("127.0.0.1", address[1]))

    def listen(self, *backlog):
        super().listen(*backlog)
        print(self.getsockname()[1], flush=True)
        # Whoever reads the port reads no further.
        sys.stdout = sys.stderr


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


socket.socket = LoopbackSocket
threading.Thread(target=end_with_parent, daemon=True).start()
sys.argv = ["localstripe", "--from-scratch", "--port", "0"]
runpy.run_module("localstripe", run_name="__main__", alter_sys=True)
