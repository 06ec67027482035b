"""What a pod is given: the request and the step's secrets, as files from Secrets that live and die with the pod.

Not as environment variables: Linux takes at most 128 KiB in one, everybody who may read pods reads them, and the request of a
dbt step is megabytes. Airflow is only asked to *create* and *delete* Secrets, never to read them.
"""

from __future__ import annotations

import base64
import gzip
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kubernetes.client import models as k8s

from dagctl_provider.pods.specs import INPUTS_ANNOTATION, Piece
from dagctl_provider.pods.states import metadata_of, name_of, spec_of, uid_of

PIECE_BYTES = 900 * 1024
"""Of a Secret; Kubernetes takes 1 MiB with everything."""


@dataclass(frozen=True)
class StepFiles:
    """The files of a step, cut and packed into Secrets.

    :param stem: Beginning of the names of the Secrets.
    :param contents: Bytes by piece. ``repr`` does not show them.
    """

    stem: str
    contents: Mapping[Piece, bytes] = field(repr=False)

    @property
    def pieces(self) -> Sequence[Piece]:
        """Which files stand in which Secret."""
        return list(self.contents)

    def objects(self, owner: k8s.V1Pod) -> list[k8s.V1Secret]:
        """The Secrets. The pod owns them, so Kubernetes removes them with it, whatever becomes of the worker."""
        reference = k8s.V1OwnerReference(api_version="v1", kind="Pod", name=name_of(owner), uid=uid_of(owner))
        described = metadata_of(owner)
        labels = {key: value for key, value in (described.labels or {}).items() if key.startswith("dagctl/")}
        return [
            k8s.V1Secret(
                metadata=k8s.V1ObjectMeta(name=name, namespace=described.namespace, labels=labels, owner_references=[reference]),
                data={
                    piece.name: base64.b64encode(content).decode()
                    for piece, content in self.contents.items()
                    if piece.secret == name
                },
                immutable=True,
                type="Opaque",
            )
            for name in self.names
        ]

    @property
    def names(self) -> list[str]:
        """Names of the Secrets."""
        return list(dict.fromkeys(piece.secret for piece in self.contents))


def step_files(request: Mapping[str, object], credentials: Mapping[str, str], name: str, stem: str | None = None) -> StepFiles:
    """Pack what a step needs.

    :param request: The runner's.
    :param credentials: Files of the secrets folder, by name (see docs/runner.md).
    :param name: Of the pod.
    :param stem: Of a pod that is there already; a new one by default, since a Secret of a former pod may still be going.
    """
    stem = stem or f"{name}-{secrets.token_hex(3)}"
    packed = gzip.compress(json.dumps(request, separators=(",", ":")).encode(), compresslevel=6, mtime=0)
    # A volume needs a source, so a step without any secret gets an empty one.
    files = [("secrets", file, text.encode()) for file, text in sorted((credentials or {"env.json": "{}"}).items())]
    for number, start in enumerate(range(0, len(packed), PIECE_BYTES)):
        files.append(("request", f"request-{number:03}", packed[start : start + PIECE_BYTES]))
    contents: dict[Piece, bytes] = {}
    used, count = 0, 0
    for volume, file, content in files:
        if used and used + len(content) > PIECE_BYTES:
            used, count = 0, count + 1
        used += len(content)
        contents[Piece(volume, file, f"{stem}-{count}")] = content
    return StepFiles(stem, contents)


def stem_of(pod: k8s.V1Pod) -> str | None:
    """How the names of the Secrets begin that were made for this pod alone."""
    return (metadata_of(pod).annotations or {}).get(INPUTS_ANNOTATION)


def secrets_of(pod: k8s.V1Pod) -> list[str]:
    """Names of the Secrets that were made for this pod alone."""
    stem = stem_of(pod)
    sources = [source for volume in spec_of(pod).volumes or [] if volume.projected for source in volume.projected.sources or []]
    names = dict.fromkeys(str(source.secret.name) for source in sources if source.secret)
    return [name for name in names if stem and name.startswith(f"{stem}-")]
