"""Renders the chart for many values, and checks what comes out.

Each manifest is valid by Kubernetes' own schemas, strictly. Each container would be started: its arguments, environment and
files are given to `nunatak check-config`, with the Secrets and ConfigMaps of the pod in a directory that stands for its root.
Scripts run for real; those that talk to a cluster, with a `nunatak` that only checks what it is asked.
"""

import base64
import copy
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import kubernetes_validate
import yaml
from helm_python.chart import Chart, lint
from helm_python.errors import HelmError

CHART = Path(__file__).resolve().parents[1] / "nunatak"
BINARY = os.environ["NUNATAK_BINARY"]
# The oldest that Chart.yaml allows, and the newest whose schemas there are.
VERSIONS = ["1.27", kubernetes_validate.latest_version()]
# Other people's kinds: their schemas are not Kubernetes' own.
CUSTOM = {"Issuer", "Certificate", "ServiceMonitor", "PrometheusRule"}
RELEASE, NAMESPACE = "db", "prod"

EVERYTHING = {
    "node": {
        "replicas": 5, "locality": "region=eu,zone=a", "antiAffinity": "required", "drainSeconds": 200,
        "storage": {"size": "100Gi", "storageClassName": "fast", "retain": False},
        "encryption": {"existingSecret": "master"}, "extraArgs": ["--log=debug"],
        "extraEnv": [{"name": "RUST_BACKTRACE", "value": "1"}], "podAnnotations": {"a": "b"}, "podLabels": {"team": "x"},
        "nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "db", "operator": "Exists"}], "priorityClassName": "high",
    },
    "gateway": {
        "hba": "hostssl all nunatak all cert\nhostssl all all 10.0.0.0/8 scram-sha-256\n", "sqlMemoryMiB": 512, "temporaryMiB": 256,
        "service": {"type": "LoadBalancer", "port": 5433, "nodePort": 30000, "annotations": {"a": "b"},
                    "loadBalancerSourceRanges": ["10.0.0.0/8"], "externalTrafficPolicy": "Local"},
        "autoscaling": {"enabled": True, "minReplicas": 3}, "extraArgs": ["--log=debug"],
        "extraEnv": [{"name": "RUST_BACKTRACE", "value": "1"}], "podAnnotations": {"a": "b"}, "podLabels": {"team": "x"},
        "antiAffinity": "none", "topologyKey": "", "disruption": {"maxUnavailable": "50%"},
    },
    "image": {"repository": "example/nunatak", "tag": "x", "pullSecrets": ["pull"]},
    "init": {"history": "7d"},
    "auth": {"username": "shop", "existingSecret": "mine", "passwordKey": "pass.word"},
    "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "p"}},
                "prometheusRule": {"enabled": True, "labels": {"release": "p"}}},
    "networkPolicy": {"enabled": True, "clients": [{"namespaceSelector": {}}], "monitoring": [{"namespaceSelector": {}}]},
    "serviceAccount": {"name": "other", "annotations": {"a": "b"}},
    "tls": {"gatewayHosts": ["db.example", "10.1.2.3", "*.db.example"]},
}


def merged(*values):
    result = {}
    for value in values:
        for key, part in value.items():
            both = isinstance(part, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], part) if both else copy.deepcopy(part)
    return result


INSECURE = {"tls": {"enabled": False}}
MANAGER = {"tls": {"source": "certManager"}}
GIVEN = {"tls": {"source": "existing", "existing": {"node": "n", "gateway": "g", "client": "c"}}}
MATRIX = {
    "defaults": {},
    "everything": EVERYTHING,
    "insecure": INSECURE,
    "everything, insecure": merged(EVERYTHING, INSECURE, {"gateway": {"hba": ""}}),
    "certificates by cert-manager": MANAGER,
    "everything, by an authority of cert-manager's": merged(
        EVERYTHING, MANAGER, {"tls": {"certManager": {"issuerRef": {"name": "corp", "kind": "ClusterIssuer"}}}}),
    "given certificates": GIVEN,
    "everything, given certificates": merged(EVERYTHING, GIVEN),
    "one node": {"node": {"replicas": 1}, "gateway": {"replicas": 1}},
    "no role": {"auth": {"enabled": False}},
    "names": {"fullnameOverride": "peak", "clusterDomain": "corp.internal", "serviceAccount": {"create": False}},
    "open network policy": {"networkPolicy": {"enabled": True}},
    "nothing but memory": merged(INSECURE, {"gateway": {"temporaryMiB": 0}}),
    "node port": {"gateway": {"service": {"type": "NodePort"}}},
}
REFUSED = {
    "an unknown value": {"nodes": {"replicas": 3}},
    "an unknown value further down": {"node": {"replica": 3}},
    "no node": {"node": {"replicas": 0}},
    "an unknown source": {"tls": {"source": "vault"}},
    "a role that needs quotes": {"auth": {"username": 'a"; DROP'}},
    "a locality that is none": {"node": {"locality": "zone"}},
    "given certificates without names": {"tls": {"source": "existing"}},
    "no time": {"init": {"history": "soon"}},
}


def render(values):
    with Chart.load(CHART) as chart:
        rendered = chart.render(values, name=RELEASE, namespace=NAMESPACE)
    manifests = []
    for path, text in rendered.items():
        if not path.endswith("NOTES.txt"):
            manifests += [manifest for manifest in yaml.safe_load_all(text) if manifest]
    return manifests


def notes(values):
    with Chart.load(CHART) as chart:
        return next(text for path, text in chart.render(values, name=RELEASE, namespace=NAMESPACE).items()
                    if path.endswith("NOTES.txt"))


def named(manifests, kind):
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def pods(manifests):
    for manifest in manifests:
        if manifest["kind"] in ("StatefulSet", "Deployment", "Job"):
            yield manifest["metadata"]["name"], manifest["spec"]["template"]["spec"], manifest


class Root:
    """A directory that stands for the roots of pods."""

    def __init__(self, folder, secrets, config_maps):
        self.folder, self.secrets, self.config_maps = Path(folder), secrets, config_maps
        self.count = 0

    def mounts(self, pod, container, claims=()):
        """Where each of the container's volumes is mounted, and what stands for it."""
        self.count += 1
        volumes = {volume["name"]: volume for volume in pod.get("volumes") or []}
        found = []
        for mount in container.get("volumeMounts") or []:
            name = mount["name"]
            directory = self.folder / f"pod{self.count}-{name}"
            directory.mkdir(exist_ok=True)
            volume = volumes.get(name)
            if volume is None:
                assert name in claims, f"nothing is mounted as {name}"
            elif "secret" in volume:
                secret = volume["secret"]
                content = self.secrets.get(secret["secretName"])
                assert content is not None or secret.get("optional"), f"no Secret {secret['secretName']}"
                for key, value in (content or {}).items():
                    (directory / key).write_bytes(value)
                    (directory / key).chmod(secret.get("defaultMode", 0o644))
            elif "configMap" in volume:
                for key, value in self.config_maps[volume["configMap"]["name"]].items():
                    (directory / key).write_text(value)
            else:
                assert "emptyDir" in volume, volume
                directory = self.folder / f"shared-{name}"
                directory.mkdir(exist_ok=True)
            found.append((mount["mountPath"], str(directory)))
        return sorted(found, reverse=True)


def localised(text, mounts):
    for path, directory in mounts:
        text = re.sub(re.escape(path) + r"(?=[/\s\"'])|" + re.escape(path) + "$", directory, text)
    return text


def environment(container, pod_name, mounts):
    variables = {}
    for variable in container.get("env") or []:
        if "value" in variable:
            variables[variable["name"]] = localised(variable["value"], mounts)
        else:
            assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}, variable
            variables[variable["name"]] = pod_name
    return variables


def expanded(word, variables):
    return re.sub(r"\$\(([A-Z_]+)\)", lambda found: variables[found.group(1)], word)


def run(command, variables, script=None, **more):
    base = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
    return subprocess.run(command, env={**base, **variables}, capture_output=True, text=True, timeout=60, **more)


def check_config(words, variables):
    return run([BINARY, "check-config", *words], variables)


class Charts(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        # A program called nunatak that makes certificates and verifiers, and checks everything else.
        tools = Path(self.folder.name) / "tools"
        tools.mkdir()
        (tools / "nunatak").write_text(
            '#!/bin/sh\ncase $1 in cert|gen-password-hash) exec "$REAL" "$@" ;; esac\n'
            'echo "$@" >>"$TOOLS/asked"\nexec "$REAL" check-config "$@"\n')
        (tools / "nunatak").chmod(0o755)
        self.tools = tools

    def script_environment(self):
        return {"PATH": f"{self.tools}:{os.environ['PATH']}", "REAL": BINARY, "TOOLS": str(self.tools)}

    def sign(self, values=None):
        """What the Job that makes certificates leaves behind, and its authority used again by the next one."""
        manifests = render(values or {})
        job = named(manifests, "Job")[f"{self.name(values)}-certificates"]
        pod = job["spec"]["template"]["spec"]
        secrets = {}
        for _ in range(2):
            root = Root(tempfile.mkdtemp(dir=self.folder.name), secrets, {})
            container = pod["initContainers"][0]
            mounts = root.mounts(pod, container)
            command = [localised(word, mounts) for word in container["command"]]
            done = run(command, self.script_environment())
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            before = secrets
            secrets = {}
            text = (Path(dict(mounts)["/work"]) / "secrets.yaml").read_text()
            for secret in filter(None, yaml.safe_load_all(text)):
                kubernetes_validate.validate(secret, VERSIONS[-1], strict=True)
                content = {key: base64.b64decode(value) for key, value in secret["data"].items()}
                secrets[secret["metadata"]["name"]] = content
            if before:
                ca = f"{self.name(values)}-ca"
                self.assertEqual(before[ca], secrets[ca], "the authority is kept")
                self.assertNotEqual(before, secrets, "certificates are made anew")
        # What the other container gives to Kubernetes is where the first has left it.
        kept = pod["containers"][0]
        self.assertIn("--filename=/work/secrets.yaml", kept["args"])
        allowed = named(manifests, "Role")[job["metadata"]["name"]]["rules"][1]["resourceNames"]
        self.assertEqual(sorted(allowed), sorted(secrets))
        return secrets

    @staticmethod
    def name(values):
        return (values or {}).get("fullnameOverride") or f"{RELEASE}-nunatak"

    def secrets(self, values, manifests):
        """All Secrets that pods may mount: of the chart, of the Job, and those that the values say exist."""
        own_names = {key: part for key, part in values.items() if key in ("fullnameOverride", "clusterDomain")}
        if "gatewayHosts" in values.get("tls", {}):
            own_names["tls"] = {"gatewayHosts": values["tls"]["gatewayHosts"]}
        secrets = self.sign(own_names)
        for secret in named(manifests, "Secret").values():
            secrets[secret["metadata"]["name"]] = {k: base64.b64decode(v) for k, v in secret["data"].items()}
        given = values.get("tls", {}).get("existing", {})
        for which, name in given.items():
            secrets[name] = secrets[f"{self.name(values)}-{which}-tls"]
        secrets["master"] = {"master.key": b"0" * 64}
        secrets["mine"] = {"pass.word": b"correct horse"}
        return secrets

    def test_lint(self):
        for what, values in MATRIX.items():
            with self.subTest(what):
                report = lint(CHART, values, strict=True, namespace=NAMESPACE)
                found = [message for message in report["messages"] if message["severity"] > 1]
                self.assertEqual((found, report["errors"]), ([], []))

    def test_every_manifest_is_valid(self):
        for what, values in MATRIX.items():
            manifests = render(values)
            names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
            self.assertEqual(len(names), len(set(names)), what)
            for manifest in manifests:
                for version in VERSIONS:
                    with self.subTest(what, kind=manifest["kind"], name=manifest["metadata"]["name"], version=version):
                        if manifest["kind"] in CUSTOM:
                            continue
                        kubernetes_validate.validate(manifest, version, strict=True)

    def test_an_invalid_manifest_is_found(self):
        manifest = named(render({}), "StatefulSet")[f"{RELEASE}-nunatak-node"]
        manifest["spec"]["template"]["spec"]["containers"][0]["arg"] = []
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)

    def test_values_that_make_no_sense_are_refused(self):
        for what, values in REFUSED.items():
            with self.subTest(what), self.assertRaises(HelmError):
                with Chart.load(CHART) as chart:
                    chart.validate_schema(values)
                    chart.render(values, name=RELEASE, namespace=NAMESPACE)

    def test_selectors_find_their_pods_and_nothing_else(self):
        for what, values in MATRIX.items():
            with self.subTest(what):
                manifests = render(values)
                pods_of = {manifest["metadata"]["name"]: manifest["spec"]["template"]["metadata"]["labels"]
                           for _, _, manifest in pods(manifests)}
                name = self.name(values)
                expected = {
                    ("Service", name): {f"{name}-gateway"}, ("Service", f"{name}-nodes"): {f"{name}-node"},
                    ("Service", f"{name}-gateways"): {f"{name}-gateway"},
                    ("PodDisruptionBudget", f"{name}-node"): {f"{name}-node"},
                    ("PodDisruptionBudget", f"{name}-gateway"): {f"{name}-gateway"},
                    ("StatefulSet", f"{name}-node"): {f"{name}-node"},
                    ("Deployment", f"{name}-gateway"): {f"{name}-gateway"},
                    ("NetworkPolicy", f"{name}-node"): {f"{name}-node"},
                    ("NetworkPolicy", f"{name}-gateway"): {f"{name}-gateway"},
                }
                for manifest in manifests:
                    spec = manifest.get("spec", {})
                    selector = spec.get("podSelector") or spec.get("selector")
                    if not selector or manifest["kind"] in CUSTOM:
                        continue
                    selector = selector.get("matchLabels", selector)
                    found = {pod for pod, labels in pods_of.items() if selector.items() <= labels.items()}
                    self.assertEqual(found, expected[manifest["kind"], manifest["metadata"]["name"]], manifest["kind"])

    def test_what_writes_has_somewhere_to_write(self):
        """All else is read-only: what a process writes to has to be a volume that may be written."""
        for what, values in MATRIX.items():
            for name, pod, manifest in pods(render(values)):
                claims = [claim["metadata"]["name"] for claim in manifest["spec"].get("volumeClaimTemplates", [])]
                writable = claims + [volume["name"] for volume in pod.get("volumes") or [] if "emptyDir" in volume]
                for container in pod["containers"]:
                    words = [word.split("=", 1) for word in container.get("args", []) if "=" in word]
                    for flag, path in words:
                        if flag not in ("--data", "--temp") or "--temp-max=0" in container["args"]:
                            continue
                        with self.subTest(what, pod=name, flag=flag):
                            under = [mount for mount in container["volumeMounts"]
                                     if path.startswith(mount["mountPath"] + "/") and mount["name"] in writable]
                            self.assertEqual(len(under), 1)
                if name.endswith("-gateway"):
                    self.assertTrue(any(word.startswith("--temp=") for word in pod["containers"][0]["args"]))

    def test_pods_take_no_more_rights_than_they_need(self):
        for what, values in MATRIX.items():
            for name, pod, _ in pods(render(values)):
                for container in pod.get("initContainers", []) + pod["containers"]:
                    with self.subTest(what, pod=name, container=container["name"]):
                        security = container["securityContext"]
                        self.assertFalse(security["allowPrivilegeEscalation"])
                        self.assertTrue(security["readOnlyRootFilesystem"])
                        self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
                        self.assertTrue(pod["securityContext"]["runAsNonRoot"])
                        self.assertIn("requests", container["resources"])
                if not name.endswith("-certificates"):
                    self.assertFalse(pod["automountServiceAccountToken"], name)

    def test_every_container_would_be_started(self):
        for what, values in MATRIX.items():
            manifests = render(values)
            secrets = self.secrets(values, manifests)
            maps = {name: manifest["data"] for name, manifest in named(manifests, "ConfigMap").items()}
            root = Root(tempfile.mkdtemp(dir=self.folder.name), secrets, maps)
            checked = 0
            for name, pod, manifest in pods(manifests):
                if name.endswith("-certificates"):
                    continue  # see sign
                claims = [claim["metadata"]["name"] for claim in manifest["spec"].get("volumeClaimTemplates", [])]
                for container in pod.get("initContainers", []) + pod["containers"]:
                    with self.subTest(what, pod=name, container=container["name"]):
                        mounts = root.mounts(pod, container, claims)
                        variables = environment(container, f"{name}-0", mounts)
                        if "command" in container:
                            command = [localised(word, mounts) for word in container["command"]]
                            done = run(command, {**variables, **self.script_environment()})
                            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                            self.assertIn("SCRAM-SHA-256$", (self.tools / "asked").read_text())
                        else:
                            words = [localised(expanded(word, variables), mounts) for word in container["args"]]
                            done = check_config(words, variables)
                            self.assertEqual(done.returncode, 0, f"{words}\n{done.stdout}{done.stderr}")
                            self.assertNotIn("expires", done.stdout)
                        checked += 1
                        hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
                        if hook[:1] == ["nunatak"]:
                            done = check_config([localised(word, mounts) for word in hook[1:]], variables)
                            self.assertEqual(done.returncode, 0, f"{hook}\n{done.stdout}{done.stderr}")
            self.assertGreaterEqual(checked, 3, what)

    def test_a_container_that_would_not_be_started_is_found(self):
        manifests = render({})
        secrets = self.secrets({}, manifests)
        name, pod, manifest = next(found for found in pods(manifests) if found[0].endswith("-node"))
        container = pod["containers"][0]

        def check(change=lambda secrets: None, more=()):
            changed = copy.deepcopy(secrets)
            change(changed)
            root = Root(tempfile.mkdtemp(dir=self.folder.name), changed, {})
            mounts = root.mounts(pod, container, ["data"])
            variables = environment(container, f"{name}-0", mounts)
            words = [localised(expanded(word, variables), mounts) for word in container["args"]]
            return check_config([*words, *more], variables)

        self.assertEqual(check().returncode, 0)
        self.assertEqual(check(more=["--no-such-flag"]).returncode, 2)
        tls = f"{RELEASE}-nunatak-node-tls"
        gateway = secrets[f"{RELEASE}-nunatak-gateway-tls"]
        for change, said in [
            (lambda secrets: secrets[tls].update(gateway), "not node"),
            (lambda secrets: secrets[tls].update({"tls.key": gateway["tls.key"]}), "is not the key to it"),
            (lambda secrets: secrets[tls].pop("ca.crt"), "cannot be read"),
        ]:
            done = check(change)
            self.assertTrue(done.returncode == 2 and said in done.stdout, done.stdout + done.stderr)

    def test_ports_of_probes_and_services_exist(self):
        for what, values in MATRIX.items():
            manifests = render(values)
            ports = {manifest["metadata"]["name"]: {port["name"] for port in pod["containers"][0].get("ports", [])}
                     for _, pod, manifest in pods(manifests)}
            name = self.name(values)
            for _, pod, _ in pods(manifests):
                for container in pod["containers"]:
                    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                        if probe in container:
                            self.assertEqual(container[probe]["httpGet"]["port"], "http", what)
            for service, of in ((name, "gateway"), (f"{name}-gateways", "gateway"), (f"{name}-nodes", "node")):
                for port in named(manifests, "Service")[service]["spec"]["ports"]:
                    self.assertIn(port["targetPort"], ports[f"{name}-{of}"], what)

    def test_a_password_is_made_unless_one_is_given(self):
        made = [named(render({}), "Secret")[f"{RELEASE}-nunatak-auth"]["data"]["password"] for _ in range(2)]
        self.assertNotEqual(*made)
        self.assertEqual(len(base64.b64decode(made[0])), 32)
        self.assertEqual(named(render({"auth": {"existingSecret": "mine"}}), "Secret"), {})

    def test_notes_say_how_to_connect_and_what_is_open(self):
        self.assertIn("sslmode=verify-full", notes({}))
        self.assertIn("INSECURE", notes(INSECURE))

    def test_gateways_are_counted_by_one_alone(self):
        deployment = named(render({"gateway": {"autoscaling": {"enabled": True}}}), "Deployment")
        self.assertNotIn("replicas", deployment[f"{RELEASE}-nunatak-gateway"]["spec"])

    def test_more_nodes_need_no_other_list(self):
        def args(replicas):
            stateful = named(render({"node": {"replicas": replicas}}), "StatefulSet")[f"{RELEASE}-nunatak-node"]
            return stateful["spec"]["template"]["spec"]["containers"][0]["args"]
        self.assertEqual(args(3), args(9))


if __name__ == "__main__":
    unittest.main(verbosity=1)
