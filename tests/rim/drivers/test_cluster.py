"""The API server is known by its authority, and a pod by its account."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from crossfade.rim.drivers import cluster
from crossfade.rim.drivers.cluster import cluster_of
from crossfade.rim.drivers.port import Misplaced, Unreachable
from crossfade.spec.router import Router
from rim.drivers.api_server import api_server

HERE = Router(driver="kserve", settings=(("inference_service", "ranker"),))
PATH = "/apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices/ranker"


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / f"{name}.crt", folder / f"{name}.key"


def test_a_pod_asks_as_its_account_and_nobody_else_than_its_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, key = certificate(tmp_path, "cluster")
    stranger, _ = certificate(tmp_path, "stranger")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(shown, key)
    with api_server(tls) as server:
        server.put(PATH, {"apiVersion": "v", "kind": "k", "metadata": {"name": "ranker"}, "spec": {"predictor": {}}})
        account = tmp_path / "account"
        account.mkdir()
        (account / "token").write_text(f"{server.token}\n")
        (account / "namespace").write_text("models")
        (account / "ca.crt").write_bytes(shown.read_bytes())
        monkeypatch.setattr(cluster, "ACCOUNT", account)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
        inside = cluster_of(HERE)
        assert inside.namespace == "models"
        assert inside.read(PATH, "it")["metadata"]["name"] == "ranker"

        (account / "ca.crt").write_bytes(stranger.read_bytes())
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            cluster_of(HERE).read(PATH, "it")
        assert [status for _, _, status in server.asked] == [200], "no token went to whom nobody vouches for"


def test_a_client_certificate_says_who_asks(tmp_path: Path) -> None:
    import base64

    import yaml

    shown, key = certificate(tmp_path, "cluster")
    ours, our_key = certificate(tmp_path, "crossfade")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(shown, key)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(ours)
    with api_server(tls) as server:
        server.put(PATH, {"apiVersion": "v", "kind": "k", "metadata": {"name": "ranker"}, "spec": {}})

        def data(file: Path) -> str:
            return base64.b64encode(file.read_bytes()).decode()

        file = server.kubeconfig(tmp_path)
        said = yaml.safe_load(file.read_text())
        said["clusters"][0]["cluster"] = {
            "server": f"https://127.0.0.1:{server.port}",
            "certificate-authority-data": data(shown),
        }
        user = {"client-certificate-data": data(ours), "client-key-data": data(our_key), "token": server.token}
        said["users"][0]["user"] = user
        file.write_text(yaml.safe_dump(said))
        there = Router(driver="kserve", settings=(("kubeconfig", str(file)), ("namespace", "other")))
        found = cluster_of(there)
        assert found.namespace == "other"
        assert found.read(PATH, "it")["metadata"]["name"] == "ranker"
        user["client-key-data"] = "AAAA"
        file.write_text(yaml.safe_dump(said))
        with pytest.raises(Misplaced, match="certificates"):
            cluster_of(there)
        user = {"client-certificate": ours.name, "client-key": our_key.name, "token": server.token}
        said["users"][0]["user"] = user
        said["clusters"][0]["cluster"] = {
            "server": f"https://127.0.0.1:{server.port}",
            "certificate-authority": shown.name,
        }
        file.write_text(yaml.safe_dump(said))
        assert cluster_of(there).read(PATH, "it")["metadata"]["name"] == "ranker", "files lie beside the kubeconfig"
        user.pop("client-key")
        file.write_text(yaml.safe_dump(said))
        with pytest.raises(Misplaced, match="certificates"):
            cluster_of(there)
