"""Asks every expression of source.py of a Prometheus that scrapes a cluster at work. Called by `test`."""

import argparse
import contextlib
import json
import math
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import source

BINARY = os.environ["NUNATAK_BINARY"]
PATIENCE_SECONDS = 120
PICTURE_SECONDS = 60

CREATE = """
create table hot (id int primary key, n bigint not null);
insert into hot select n, 0 from generate_series(1, 3) n;
create table much (id text primary key, text text not null);
create role app login password 'correct horse';
"""
LOADS = [
    # One row for all of them: locks are waited for.
    "begin; update hot set n = n + 1 where id = 1; select count(*) from much; update hot set n = n + 1 where id = 2; commit;\n" * 20,
    "begin; update hot set n = n + 1 where id = 1; update hot set n = n + 1 where id = 3; commit;\n" * 40,
    # Enough to be flushed and compacted.
    "insert into much select md5(random()::text), repeat(md5(n::text), 20) from generate_series(1, 300) n;\n" * 5,
    "select count(*), max(text) from much;\nselect 1 / 0;\n",
]


def free_port():
    """One that nobody listens on, below those that the kernel gives to connections: it is told before it is bound."""
    while True:
        port = random.randrange(12000, 24000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


class Cluster:
    """Three nodes and a gateway over TLS, at work until closed."""

    def __init__(self, folder):
        self.folder, self.processes, self.scraped = folder, [], {"node": [], "gateway": []}
        self.stopping = threading.Event()
        certs = folder / "certs"
        for words in (["create-ca"], ["create-node", "127.0.0.1"], ["create-gateway", "127.0.0.1"],
                      ["create-client", "nunatak"]):
            subprocess.run([BINARY, "cert", *words, "--dir", certs], check=True, stdout=subprocess.DEVNULL)
        addresses = [f"127.0.0.1:{free_port()}" for _ in range(3)]
        for number, address in enumerate(addresses):
            self.start("node", number, ["--data", folder / f"data{number}", "--listen", address, "--join", ",".join(addresses),
                                        "--memtable-bytes", "400000"])
        subprocess.run([BINARY, "init", "--host", addresses[0], *self.tls("gateway")], check=True, stdout=subprocess.DEVNULL)
        hba = folder / "hba.conf"
        hba.write_text("hostssl all nunatak all cert\nhostssl all all all scram-sha-256\n")
        self.sql = f"127.0.0.1:{free_port()}"
        self.start("gateway", 0, ["--listen", self.sql, "--join", ",".join(addresses), "--hba", hba,
                                    "--audit-log", folder / "audit.log"])

    def tls(self, name):
        certs = self.folder / "certs"
        return ["--tls-cert", certs / f"{name}.crt", "--tls-key", certs / f"{name}.key", "--tls-ca", certs / "ca.crt"]

    def start(self, command, number, arguments):
        http = f"127.0.0.1:{free_port()}"
        log = open(self.folder / f"{command}{number}.log", "w")
        words = [BINARY, command, *arguments, "--http", http, *self.tls(command)]
        self.processes.append(subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        self.scraped[command].append(http)

    def run(self, script):
        words = [BINARY, "sql", "--url", f"postgresql://nunatak@{self.sql}/postgres", "-f", "-", *self.tls("client.nunatak")]
        return subprocess.run(words, input=script, text=True, capture_output=True)

    def work(self):
        deadline = time.monotonic() + 60
        while True:
            made = self.run("select 1")
            if made.returncode == 0:
                break
            if time.monotonic() > deadline:
                sys.exit(f"the cluster does not answer: {made.stderr}")
            time.sleep(0.3)
        made = self.run(CREATE)
        if made.returncode != 0:
            sys.exit(f"the tables cannot be made: {made.stderr}")

        def repeat(script):
            while not self.stopping.is_set():
                self.run(script)

        def guess():
            url = f"postgresql://app:wrong@{self.sql}/postgres"
            while not self.stopping.wait(5):
                words = [BINARY, "sql", "--url", url, "-e", "select 1", "--tls-ca", self.folder / "certs/ca.crt"]
                subprocess.run(words, capture_output=True)

        self.threads = [threading.Thread(target=repeat, args=[script]) for script in LOADS]
        self.threads.append(threading.Thread(target=guess))
        for thread in self.threads:
            thread.start()

    def close(self):
        self.stopping.set()
        for thread in getattr(self, "threads", []):
            thread.join()
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait()


class Prometheus:
    """Scrapes it each second."""

    def __init__(self, folder, scraped):
        config = folder / "prometheus.yml"
        groups = [{"targets": targets, "labels": {"component": name}} for name, targets in scraped.items()]
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(source.HERE / "prometheus/rules.yml")],
            "scrape_configs": [{"job_name": "nunatak", "static_configs": groups}],
        }))
        self.address = f"127.0.0.1:{free_port()}"
        log = open(folder / "prometheus.log", "w")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'prometheus'}",
             f"--web.listen-address={self.address}"], stdout=log, stderr=log)

    def ask(self, path, **parameters):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            sys.exit(f"Prometheus refuses {parameters}: {error.read().decode()}")
        except (urllib.error.URLError, ConnectionError):
            return None  # it is starting

    def answers(self, expression):
        data = self.ask("query", query=plain(expression))
        return data is not None and any(math.isfinite(float(sample["value"][1])) for sample in data["result"])

    def close(self):
        self.process.terminate()
        self.process.wait()


def plain(expression):
    """What Grafana would ask with everything chosen."""
    return expression.replace("$instance", ".+").replace("$__rate_interval", "20s")


def picture(series, title):
    """A small SVG of lines over time."""
    points = [(float(at), float(value)) for one in series for at, value in one["values"] if math.isfinite(float(value))]
    top = max([value for _, value in points] + [1e-9])
    times = [at for at, _ in points] or [0]
    start, end = min(times), max(times)
    colours = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f"]
    lines = [f'<text x="10" y="16" font-weight="bold">{title.replace("&", "&amp;").replace("<", "&lt;")}</text>',
             f'<text x="10" y="32">{f"{top:.4g}" if top > 1e-9 else ""}</text><text x="10" y="196">0</text>']
    for number, one in enumerate(series):
        path = " ".join(f"{60 + (float(at) - start) / max(end - start, 1) * 520:.1f},{195 - float(value) / top * 165:.1f}"
                        for at, value in one["values"] if math.isfinite(float(value)))
        lines.append(f'<polyline fill="none" stroke="{colours[number % len(colours)]}" points="{path}"/>')
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="600" height="205" font-family="sans-serif" font-size="11">'
            '<rect width="600" height="205" fill="white"/>' + "".join(lines) + "</svg>\n")


def draw(prometheus, folder):
    folder.mkdir(parents=True, exist_ok=True)
    now = time.time()
    for number, (place, expression) in enumerate(source.expressions()):
        if place.startswith("dashboard"):
            data = prometheus.ask("query_range", query=plain(expression), start=now - PICTURE_SECONDS, end=now, step=1)
            (folder / f"{number:03}.svg").write_text(picture(data["result"], place.removeprefix("dashboard ")))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    cluster, prometheus = Cluster(arguments.folder), None
    try:
        prometheus = Prometheus(arguments.folder, cluster.scraped)
        cluster.work()
        started = time.monotonic()
        waiting = list(source.expressions())
        count = len(waiting)
        while waiting and time.monotonic() < started + PATIENCE_SECONDS:
            time.sleep(2)
            waiting = [(place, expression) for place, expression in waiting if not prometheus.answers(expression)]
        if prometheus.answers("nunatak_no_such_metric") or prometheus.answers("0 / 0 * up"):
            sys.exit("what does not exist answers: the test tests nothing")
        wrong = [f"{place} answers nothing: {expression}" for place, expression in waiting]
        for group in prometheus.ask("rules")["groups"]:
            for rule in group["rules"]:
                if rule["health"] != "ok":
                    wrong.append(f"rule {rule['name']}: {rule['health']}: {rule.get('lastError')}")
        down = [target["labels"]["instance"] for target in prometheus.ask("targets")["activeTargets"] if target["health"] != "up"]
        wrong += [f"{instance} is not scraped" for instance in down]
        if arguments.pictures:
            time.sleep(max(0, PICTURE_SECONDS - (time.monotonic() - started)))
            draw(prometheus, arguments.pictures)
        if wrong:
            sys.exit("\n".join(wrong))
        print(f"deploy/monitoring/test: {count} expressions answer, after {time.monotonic() - started:.0f} s")
    finally:
        if prometheus:
            prometheus.close()
        cluster.close()


if __name__ == "__main__":
    main()
