"""A real nginx before a model server, as the reference of what a trusted proxy takes and refuses."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MISSING = "NGINX IS NOT INSTALLED: nothing is compared with a real proxy. `make test-servers` installs it."

_CONF = """
daemon off; master_process off; {user} pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_header_timeout 1s; client_body_timeout 1s; keepalive_timeout 1s; lingering_close off;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{upstream}; }} }}
}}
"""


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[int]:
    """nginx with `proxy_pass` to a local port; gives its own port."""
    assert NGINX is not None, MISSING
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    user = f"user {pwd.getpwuid(os.getuid()).pw_name};" if os.getuid() == 0 else ""
    conf = folder / "nginx.conf"
    conf.write_text(_CONF.format(folder=folder, port=port, upstream=upstream, user=user))
    running = subprocess.Popen([NGINX, "-e", str(folder / "error.log"), "-c", str(conf), "-p", str(folder)])
    try:
        until = time.monotonic() + 10.0
        while True:
            assert running.poll() is None, f"nginx did not start: {(folder / 'error.log').read_text()}"
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                assert time.monotonic() < until, "nginx does not answer"
                time.sleep(0.02)
        yield port
    finally:
        running.terminate()
        running.wait(10)
