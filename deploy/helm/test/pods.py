"""Runs what the chart renders as processes: see `pods`, which calls this.

A pod is a network and mount namespace of its own with an address, the cluster's names in its /etc/hosts, and the user that its
manifest says. Paths of volumes are replaced by directories that stand for them, as in chart.py.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import chart

VALUES = {"gateway": {"service": {"port": 5433}}}
DOMAIN = f"{chart.RELEASE}-nunatak"
NODES = f"{DOMAIN}-nodes.{chart.NAMESPACE}.svc.cluster.local"
SERVICE = f"{DOMAIN}.{chart.NAMESPACE}.svc.cluster.local"
USER = 10001


def say(what):
    print(f"deploy/helm/test/pods: {what}", flush=True)


def command(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True, **more).stdout


class Namespace:
    """A network of its own, until closed."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", "echo; exec sleep infinity"],
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.run("ip", "link", "set", "lo", "up")

    def enter(self, *words):
        return ["nsenter", "--target", str(self.holder.pid), "--net", "--mount", *[str(word) for word in words]]

    def run(self, *words, **more):
        return command(*self.enter(*words), **more)

    def close(self):
        self.holder.kill()
        self.holder.wait()


class World:
    """The networks, joined, and the names in them."""

    def __init__(self, folder):
        self.folder, self.namespaces, self.names = folder, {}, {}
        self.switch = Namespace()
        self.switch.run("ip", "link", "add", "switch", "type", "bridge")
        self.switch.run("ip", "link", "set", "switch", "up")
        self.hosts = folder / "hosts"

    def host(self, name, *names):
        """A network with an address, known by these names."""
        number = len(self.namespaces) + 1
        namespace = self.namespaces[name] = Namespace()
        address = f"10.99.0.{number}"
        port = f"port{number}"
        self.switch.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace.holder.pid)
        self.switch.run("ip", "link", "set", port, "master", "switch", "up")
        namespace.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        namespace.run("ip", "link", "set", "eth0", "up")
        for known in names:
            self.names[known] = address
        self.hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{at} {known}\n" for known, at in self.names.items()))
        namespace.run("mount", "--bind", self.hosts, "/etc/hosts")
        return namespace

    def close(self):
        for namespace in [*self.namespaces.values(), self.switch]:
            namespace.close()


class Pod:
    """The first container of a pod that serves."""

    def __init__(self, world, root, name, manifest, namespace):
        spec = manifest["spec"]["template"]["spec"]
        claims = [claim["metadata"]["name"] for claim in manifest["spec"].get("volumeClaimTemplates", [])]
        self.container, self.name, self.namespace = spec["containers"][0], name, namespace
        self.mounts = owned(root.mounts(spec, self.container, claims))
        self.variables = chart.environment(self.container, name, self.mounts)
        self.log = world.folder / f"{name}.log"

    def start(self):
        words = [chart.localised(chart.expanded(word, self.variables), self.mounts) for word in self.container["args"]]
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self.namespace.enter(*as_user(), "nunatak", *words), stdout=log, stderr=log,
                                            env=environment(self.variables))

    def await_page(self, path):
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            asked = subprocess.run(self.namespace.enter("curl", "--silent", "--fail", f"http://127.0.0.1:8080{path}"),
                                   capture_output=True)
            if asked.returncode == 0:
                return
            time.sleep(0.2)
        sys.exit(f"{self.name} does not answer {path}:\n" + self.log.read_text()[-3000:])

    def stop(self):
        """As a kubelet does: preStop, then SIGTERM."""
        hook = [chart.localised(word, self.mounts) for word in self.container["lifecycle"]["preStop"]["exec"]["command"]]
        hooked = subprocess.run(self.namespace.enter(*as_user(), *hook), capture_output=True, text=True,
                                env=environment(self.variables), timeout=120)
        if hooked.returncode != 0:
            sys.exit(f"{self.name}'s preStop: {hooked.stderr}")
        self.process.terminate()
        status = self.process.wait(timeout=120)
        if status != 0:
            sys.exit(f"{self.name} ends with {status}:\n" + self.log.read_text()[-3000:])

    def kill(self):
        self.process.kill()
        self.process.wait()


def as_user():
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"]


def environment(variables):
    return {"PATH": f"{TOOLS}:/usr/sbin:/usr/bin:/sbin:/bin", **variables}


def owned(mounts):
    """As fsGroup has it: volumes are the group's, and files of Secrets root's."""
    for _, directory in mounts:
        os.chown(directory, 0, USER)
        os.chmod(directory, 0o2775)
        for path in Path(directory).rglob("*"):
            os.chown(path, 0, USER)
    return mounts


def run_job(world, root, job):
    spec = job["spec"]["template"]["spec"]
    namespace = world.host(job["metadata"]["name"])
    for container in spec.get("initContainers", []) + spec["containers"]:
        mounts = owned(root.mounts(spec, container))
        variables = chart.environment(container, "job", mounts)
        words = [chart.localised(chart.expanded(word, variables), mounts)
                 for word in container.get("command", ["nunatak"]) + container.get("args", [])]
        done = subprocess.run(namespace.enter(*as_user(), *words), capture_output=True, text=True,
                              env=environment(variables), timeout=180)
        if done.returncode != 0:
            sys.exit(f"{job['metadata']['name']}: {container['name']}: {done.stdout}{done.stderr}")


def main(folder):
    os.chmod(folder, 0o755)
    (folder / "tools").mkdir()
    shutil.copy(chart.BINARY, folder / "tools/nunatak")
    global TOOLS
    TOOLS = folder / "tools"
    signer = chart.Charts()
    signer.setUp()
    say("certificates")
    manifests = chart.render(VALUES)
    secrets = signer.secrets(VALUES, manifests)
    root = chart.Root(folder, secrets, {})
    stateful = chart.named(manifests, "StatefulSet")[f"{DOMAIN}-node"]
    deployment = chart.named(manifests, "Deployment")[f"{DOMAIN}-gateway"]
    job = next(one for name, one in chart.named(manifests, "Job").items() if "-init-" in name)
    world = World(folder)
    pods = []
    try:
        names = [f"{DOMAIN}-node-{number}" for number in range(4)]
        nodes = [Pod(world, root, name, stateful, world.host(name, f"{name}.{NODES}")) for name in names]
        gateways = [Pod(world, root, "gateway-0", deployment, world.host("gateway-0", SERVICE)),
                    Pod(world, root, "gateway-1", deployment, world.host("gateway-1"))]
        client = world.host("client")
        for pod in nodes[:3] + gateways:
            pod.start()
            pods.append(pod)
        for pod in pods:
            pod.await_page("/health")
        say("the init Job")
        run_job(world, root, job)
        run_job(world, root, {**job, "metadata": {"name": "init-again"}})  # harmless
        for pod in pods:
            pod.await_page("/ready")

        certificate = folder / "ca.crt"
        certificate.write_bytes(secrets[f"{DOMAIN}-gateway-tls"]["ca.crt"])
        password = secrets[f"{DOMAIN}-auth"]["password"].decode()

        def ask(sql, password=password, user="app", **more):
            connection = (f"host={SERVICE} port=5433 user={user} dbname=postgres sslmode=verify-full sslrootcert={certificate} "
                          "connect_timeout=10")
            return client.run("psql", "-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-c", sql, connection,
                              env={**os.environ, "PGPASSWORD": password}, **more).strip()

        def is_refused(**more):
            try:
                ask("select 1", **more)
                return False
            except subprocess.CalledProcessError:
                return True

        say("psql by name, certificate and password")
        ask("create table t (a bigint primary key)")
        if not is_refused(password="wrong") or not is_refused(user="nunatak"):
            sys.exit("somebody got in without a proof")

        say("a rolling restart beside a client")
        failures, written, stopping = [], [0], threading.Event()

        def write():
            while not stopping.is_set():
                try:
                    ask(f"insert into t values ({written[0]})")
                    written[0] += 1
                except subprocess.CalledProcessError as error:
                    failures.append(error.stderr)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        for pod in nodes[:3]:
            pod.stop()
            pod.start()
            pod.await_page("/ready")
            time.sleep(2)
        stopping.set()
        writer.join()
        if failures:
            sys.exit(f"{len(failures)} of {written[0]} statements failed: {failures[0]}")

        say(f"{written[0]} statements beside it, none failed; a node is killed")
        nodes[1].kill()
        ask("insert into t values (-1)", timeout=60)
        nodes[1].start()
        nodes[1].await_page("/ready")

        say("one more node")
        more = chart.named(chart.render(chart.merged(VALUES, {"node": {"replicas": 4}})), "StatefulSet")[f"{DOMAIN}-node"]
        if more["spec"]["template"] != stateful["spec"]["template"]:
            sys.exit("more nodes change the pods that there are")
        nodes[3].start()
        pods.append(nodes[3])
        nodes[3].await_page("/ready")
        if ask("select count(*) from t") != str(written[0] + 1):
            sys.exit("rows are missing")
        for pod in [gateways[1], gateways[0], *reversed(nodes)]:
            # The last nodes have nobody to hand over to.
            pod.stop() if pod in gateways or pod is nodes[3] else pod.process.terminate()
        for pod in nodes[:3]:
            if pod.process.wait(timeout=120) != 0:
                sys.exit(f"{pod.name} did not end in order:\n" + pod.log.read_text()[-3000:])
        say("passed")
    finally:
        for pod in pods:
            if pod.process.poll() is None:
                pod.kill()
        world.close()
        signer.doCleanups()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(Path(directory))
