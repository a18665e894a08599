"""Fetches suites, with what they need, into the cache: by pip and, of Debian, by apt, as their own settings say."""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

FETCH_SECONDS = 600


@dataclass
class Place:
    """Where a suite lies, and the Python that has what it needs."""

    suite: Path
    python: Path


def fetch(suite, cache):
    """The suite's place, made if it is not there as it is wanted."""
    wanted = json.dumps([suite.version, suite.source, suite.keep, suite.needs, sys.version_info[:2]])
    name = suite.source or suite.title.split(",")[0]
    mark = hashlib.sha256(wanted.encode()).hexdigest()[:12]
    home = cache / "suites" / f"{name}-{suite.version}-{mark}"
    place = Place(home / "suite", home / "python/bin/python")
    if (home / "whole").exists():
        return place
    shutil.rmtree(home, ignore_errors=True)
    place.suite.mkdir(parents=True)
    if suite.source:
        unpack(download(suite, cache), suite.keep, place.suite)
    print(f"    installing {len(suite.needs)} packages beside it", flush=True)
    call([sys.executable, "-m", "venv", home / "python"])
    call([place.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *suite.needs])
    (home / "whole").write_text(wanted)
    return place


def download(suite, cache):
    """The file of the source distribution."""
    sources = cache / "sources"
    sources.mkdir(parents=True, exist_ok=True)
    have = list(sources.glob(f"{suite.source}-{suite.version}.tar.gz"))
    if not have:
        print("    fetching its sources", flush=True)
        call([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", suite.source,
              "-d", sources, f"{suite.source}=={suite.version}"])
        have = list(sources.glob(f"{suite.source}-{suite.version}.tar.gz"))
    if len(have) != 1:
        sys.exit(f"no source distribution of {suite.source} {suite.version} came")
    return have[0]


def unpack(archive, keep, target):
    """Unpacks what begins as one of `keep` does, or all, without the archive's own first folder."""
    with tarfile.open(archive) as members:
        for member in members.getmembers():
            _, _, path = member.name.partition("/")
            if not path or (keep and not path.startswith(keep)):
                continue
            member.name = path
            members.extract(member, target, filter="data")


def pgbouncer(cache):
    """Debian's pgbouncer, and the folder of the libraries that come with it; nothing of it is installed."""
    home = cache / "suites" / "pgbouncer"
    if not (home / "whole").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for package in ("pgbouncer", "libc-ares2", "libevent-2.1-7"):
            done = subprocess.run(["apt-get", "download", package], cwd=home, capture_output=True, text=True, timeout=FETCH_SECONDS)
            if done.returncode:
                sys.exit(f"apt-get download {package}\n{done.stdout}{done.stderr}")
        for package in home.glob("*.deb"):
            call(["dpkg", "-x", package, home / "root"])
        (home / "whole").touch()
    libraries = next((home / "root/usr/lib").glob("*-linux-gnu*"))
    return home / "root/usr/sbin/pgbouncer", libraries


def call(words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=FETCH_SECONDS)
    if done.returncode:
        sys.exit(f"{' '.join(str(word) for word in words)}\n{done.stdout}{done.stderr}")
