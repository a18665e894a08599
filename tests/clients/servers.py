"""Servers for suites: one node, three nodes that are gateways, or PostgreSQL 15; on loopback, and ended with their suite."""

import contextlib
import fcntl
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import fetching

POSTGRES = Path("/usr/lib/postgresql/15/bin")
START_SECONDS = 60
END_SECONDS = 45


@dataclass
class Server:
    host: str
    port: int
    database: str
    is_postgres: bool


def free_port():
    """One that nobody listens on, below those that the kernel gives to connections: it is told before it is bound."""
    while True:
        port = random.randrange(12000, 24000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def started(kind, binary, folder, suite, cache):
    """A server with the suite's database in it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = open(folder.with_suffix(".lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"somebody plays the same suite: {folder} is in use")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = suite.port or free_port()
    if suite.port:
        with contextlib.closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", suite.port)) == 0:
                sys.exit(f"port {suite.port}, which the suite asks for, is taken")
    processes = []
    server = Server("127.0.0.1", port, suite.database, kind == "postgres")
    try:
        if kind == "postgres":
            processes.append(postgres(folder, port))
        elif kind == "nunatak1":
            processes.append(spawn(folder, "node", [binary, "start-single", "--data", folder / "data", "--listen", f"127.0.0.1:{port}",
                                                   "--http", f"127.0.0.1:{free_port()}"]))
        else:
            addresses = [f"127.0.0.1:{free_port()}" for _ in range(3)]
            for number, address in enumerate(addresses):
                sql = port if number == 0 else free_port()
                processes.append(spawn(folder, f"node{number}", [
                    binary, "node", "--data", folder / f"data{number}", "--listen", address, "--join", ",".join(addresses),
                    "--sql", f"127.0.0.1:{sql}", "--http", f"127.0.0.1:{free_port()}"]))
            subprocess.run([binary, "init", "--host", addresses[0]], check=True, stdout=subprocess.DEVNULL)
        wait(port, processes)
        if suite.database != "postgres":
            psql(port, "postgres", "postgres", f'create database "{suite.database}"')
        if suite.setup:
            psql(port, "postgres", suite.database, suite.setup)
        if suite.pool:
            server.port = free_port()
            processes.append(pooled(folder, suite.pool, port, server.port, cache))
            wait(server.port, processes)
        yield server
        for process in processes:
            if process.poll() is not None:
                print(f"    THE SERVER ENDED with status {process.returncode}: see {folder}", flush=True)
    finally:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in processes:
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for data in folder.glob("data*"):
            # What is another user's lies elsewhere.
            shutil.rmtree(data.resolve(), ignore_errors=True)


def postgres(folder, port):
    """PostgreSQL runs as its own user, since it refuses root."""
    user = {}
    if os.getuid() == 0:
        user = {"user": "postgres", "group": pwd.getpwnam("postgres").pw_gid, "extra_groups": []}
    home = Path("/tmp") / f"nunatak-clients-{port}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    if user:
        shutil.chown(home, "postgres")
    subprocess.run([POSTGRES / "initdb", "--locale=C.UTF-8", "-U", "postgres", "-A", "trust", "-D", home / "data"], check=True, cwd=home,
                   stdout=subprocess.DEVNULL, **user)
    (folder / "data").symlink_to(home)
    log = open(folder / "postgres.log", "w")
    return subprocess.Popen([POSTGRES / "postgres", "-D", home / "data", "-p", str(port), "-k", home, "-c", "listen_addresses=127.0.0.1",
                             "-c", "fsync=off", "-c", "max_prepared_transactions=10"],
                            stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=home, **user)


def pooled(folder, mode, port, own_port, cache):
    """A pgbouncer before a server, which refuses root, too."""
    program, libraries = fetching.pgbouncer(cache)
    home = Path("/tmp") / f"nunatak-clients-pgbouncer-{own_port}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    (home / "users").write_text('"postgres" ""\n')
    (home / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {own_port}\n"
        f"auth_type = trust\nauth_file = {home}/users\npool_mode = {mode}\nunix_socket_dir =\nignore_startup_parameters = extra_float_digits\n"
        f"default_pool_size = 20\n")
    user = {}
    if os.getuid() == 0:
        user = {"user": "postgres", "group": pwd.getpwnam("postgres").pw_gid, "extra_groups": []}
        # It reads what it is of as that user.
        program = shutil.copy(program, home)
        libraries = shutil.copytree(libraries, home / "lib")
        for path in [home, *home.rglob("*")]:
            shutil.chown(path, "postgres")
    (folder / "data-pgbouncer").symlink_to(home)
    log = open(folder / "pgbouncer.log", "w")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
    return subprocess.Popen([str(program), str(home / "pgbouncer.ini")], stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=home,
                            env=environment, **user)


def spawn(folder, name, words):
    log = open(folder / f"{name}.log", "w")
    return subprocess.Popen([str(word) for word in words], stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def psql(port, user, database, sql, check=True):
    return subprocess.run(["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", user, "-d", database, "-c", sql], check=check,
                          capture_output=not check, timeout=START_SECONDS)


def wait(port, processes):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for process in processes:
            if process.poll() is not None:
                sys.exit(f"{process.args[0]} ended with status {process.returncode}")
        if psql(port, "postgres", "postgres", "select 1", check=False).returncode == 0:
            return
        time.sleep(0.3)
    sys.exit(f"no answer on port {port} within {START_SECONDS} s")
