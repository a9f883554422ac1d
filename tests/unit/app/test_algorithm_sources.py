from __future__ import annotations

from pathlib import Path

import pytest

from katibpy.app.algorithm_sources import AlgorithmSource
from katibpy.app.configuration import read_configuration
from katibpy.errors import InputError

KATIB_CONFIG = """
apiVersion: config.kubeflow.org/v1beta1
kind: KatibConfig
init:
  controller: {webhookPort: 8443}
runtime:
  metricsCollectors:
    - {kind: StdOut, image: docker.io/kubeflowkatib/file-metrics-collector:latest}
  suggestions:
    - algorithmName: random
      image: docker.io/kubeflowkatib/suggestion-hyperopt:latest
    - algorithmName: pbt
      image: docker.io/kubeflowkatib/suggestion-pbt:latest
      imagePullPolicy: Always
      serviceAccountName: trials
      persistentVolumeClaimSpec: {accessModes: [ReadWriteMany]}
      resources: {limits: {memory: 400Mi, cpu: "1.5"}, requests: {cpu: 50m}}
    - algorithmName: random
      image: docker.io/kubeflowkatib/suggestion-optuna:latest
      args: [--verbose]
"""


def written(folder: Path, text: str, name: str = "machine.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def sources(folder: Path, text: str) -> dict[str, AlgorithmSource]:
    return dict(read_configuration(folder, written(folder, text)).algorithms)


def test_an_address_a_command_and_an_image_are_read(tmp_path: Path) -> None:
    found = sources(
        tmp_path,
        """
        suggestions:
          - algorithmName: served
            address: 127.0.0.1:7000
            timeoutSeconds: 20
          - algorithmName: program
            command: [node, server.js]
            args: ["--port=$(KATIB_ALGORITHM_PORT)"]
            workingDir: plug-ins
            env: [{name: LEVEL, value: debug}]
            shared: true
            startTimeoutSeconds: 5
          - algorithmName: contained
            image: docker.io/kubeflowkatib/suggestion-skopt:v0.19.0
            imagePullPolicy: Never
            workingDir: /opt
        """,
    )
    assert found["served"] == AlgorithmSource(name="served", address="127.0.0.1:7000", call_seconds=20.0)
    assert found["program"] == AlgorithmSource(
        name="program",
        command=("node", "server.js"),
        args=("--port=$(KATIB_ALGORITHM_PORT)",),
        working_directory=str(tmp_path / "plug-ins"),
        environment={"LEVEL": "debug"},
        is_shared=True,
        start_seconds=5.0,
    )
    assert found["contained"] == AlgorithmSource(
        name="contained",
        image="docker.io/kubeflowkatib/suggestion-skopt:v0.19.0",
        pull="never",
        working_directory="/opt",
    )
    assert [found[name].origin for name in found] == [
        "127.0.0.1:7000",
        "node server.js --port=$(KATIB_ALGORITHM_PORT)",
        "docker.io/kubeflowkatib/suggestion-skopt:v0.19.0",
    ]


def test_a_katib_config_is_read_as_it_is(tmp_path: Path) -> None:
    found = sources(tmp_path, KATIB_CONFIG)
    assert found == {
        # The last of a name counts, as for Katib.
        "random": AlgorithmSource(
            name="random", image="docker.io/kubeflowkatib/suggestion-optuna:latest", args=("--verbose",)
        ),
        "pbt": AlgorithmSource(
            name="pbt",
            image="docker.io/kubeflowkatib/suggestion-pbt:latest",
            pull="always",
            cpu_limit=1500,
            memory_limit=400 * 1024 * 1024,
        ),
    }


def test_so_is_the_config_map_that_holds_one_and_one_that_is_named(tmp_path: Path) -> None:
    indented = "".join(f"    {line}\n" for line in KATIB_CONFIG.splitlines())
    config_map = f"kind: ConfigMap\ndata:\n  katib-config.yaml: |\n{indented}"
    assert sources(tmp_path, config_map) == sources(tmp_path, KATIB_CONFIG)
    written(tmp_path, KATIB_CONFIG, "katib-config.yaml")
    own = "suggestions: [{algorithmName: random, address: 'unix:/run/mine'}]\n"
    found = sources(tmp_path, f"katibConfig: katib-config.yaml\nrunner: local\n{own}")
    assert found["random"].address == "unix:/run/mine"
    assert found["pbt"].image


def test_another_machine_is_reached_over_tls_or_by_leave(tmp_path: Path) -> None:
    found = sources(
        tmp_path,
        """
        suggestions:
          - algorithmName: safe
            address: search.example:6789
            tls: {caFile: ca.pem}
            tokenFile: token
          - {algorithmName: known, address: "search.example:443", tls: {}}
          - {algorithmName: open, address: "10.0.0.7:6789", plaintext: true}
        """,
    )
    assert (found["safe"].is_secure, found["safe"].authority) == (True, tmp_path / "ca.pem")
    assert found["safe"].token_file == tmp_path / "token"
    assert (found["known"].is_secure, found["known"].authority) == (True, None)
    assert not found["open"].is_secure


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{address: 'unix:/x'}", r"suggestions\[0\].algorithmName must be a text, got None"),
        ("{algorithmName: a}", "must have one of address, command and image, got none of them"),
        ("{algorithmName: a, image: i, address: 'unix:/x'}", "got address and image"),
        ("{algorithmName: a, command: []}", "must have at least the program"),
        ("{algorithmName: a, command: node server.js}", "must be a list of texts, got 'node server.js'"),
        ("{algorithmName: a, address: localhost}", "must be host:port or unix:/path, got 'localhost'"),
        ("{algorithmName: a, address: '10.0.0.7:1'}", "set tls with caFile, or plaintext: true"),
        ("{algorithmName: a, address: '127.0.0.1:1', tokenFile: t}", "tokenFile needs tls beside it"),
        (
            "{algorithmName: a, address: '127.0.0.1:1', shared: true}",
            "shared is for a service that is started",
        ),
        ("{algorithmName: a, image: i, tls: {}}", "tls is for an address, got it beside image"),
        ("{algorithmName: a, image: i, shared: 1}", "shared must be true or false, got 1"),
        (
            "{algorithmName: a, image: i, timeoutSeconds: 0}",
            "timeoutSeconds must be a number of seconds above 0",
        ),
        (
            "{algorithmName: a, image: i, imagePullPolicy: Sometimes}",
            "must be one of IfNotPresent, Always, Never",
        ),
        (
            "{algorithmName: a, image: i, env: [{name: X, valueFrom: {}}]}",
            r"env\[0\] has no field 'valueFrom'",
        ),
        ("{algorithmName: a, image: i, resources: {limits: {cpu: many}}}", "limits.cpu must be a quantity"),
        ("{algorithmname: a, image: i}", "did you mean algorithmName"),
        ("{algorithmName: a, image: i}, {algorithmName: a, image: j}", "got 'a' again"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_its_path(tmp_path: Path, entry: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        sources(tmp_path, f"suggestions: [{entry}]")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("katibConfig: missing.yaml", "missing.yaml cannot be read"),
        ("katibConfig: machine.yaml", "must be a KatibConfig or the ConfigMap that holds one"),
        ("kind: ConfigMap\ndata: {other: x}", "must be a KatibConfig"),
        ("kind: KatibConfig\nruntime: {suggestions: [{algorithmName: a}]}", "image must be a text, got None"),
    ],
)
def test_a_katib_config_that_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        sources(tmp_path, text)
