"""Which images the node can pull, and the words of kubelet and containerd when it cannot.

Every image is there, with this machine's programs in it, but for those that a name makes fail:

====================================  ==========================================================================
``…/missing…``                        not in the registry
``private.…/…``                       the registry wants a pull secret with the password ``right``
``….invalid/…``                       its registry has no address
an invalid reference                  InvalidImageName
``…:never-here``                      with pull policy Never: ErrImageNeverPull
====================================  ==========================================================================

Words: pkg/kubelet/images/image_manager.go and types.go of Kubernetes 1.32 and newer, and containerd's resolver. Reference:
https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_REFERENCE = re.compile(r"([a-zA-Z0-9.-]+(:\d+)?/)?[a-z0-9]+((\.|__?|-+|/)[a-z0-9]+)*(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?")
_PRIVATE = "private."
_PASSWORD = "right"


@dataclass(frozen=True)
class PullFailure:
    """Why an image does not come.

    :param first: Waiting reason at the first try.
    :param then: Waiting reason while kubelet waits for its next try; ``None`` when it tries no more.
    :param message: What the runtime said.
    """

    first: str
    then: str | None
    message: str


def pull(image: str, policy: str, secrets: Iterable[dict[str, Any]]) -> PullFailure | None:
    """Whether an image can be pulled with these pull secrets; ``None`` when it can."""
    if not _REFERENCE.fullmatch(image):
        text = f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": invalid reference format'
        return PullFailure("InvalidImageName", None, text)
    repository, _, tag = image.rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "latest")
    if policy == "Never" and tag == "never-here":
        return PullFailure("ErrImageNeverPull", None, f'Container image "{image}" is not present with pull policy of Never')
    registry = repository.partition("/")[0]
    full = f"{repository}:{tag}" if "." in registry else f"docker.io/library/{repository}:{tag}"
    resolve = f'failed to pull and unpack image "{full}": failed to resolve reference "{full}": '
    if "/missing" in f"/{repository}":
        return PullFailure("ErrImagePull", "ImagePullBackOff", f"rpc error: code = NotFound desc = {resolve}{full}: not found")
    if registry.endswith(".invalid"):
        why = f'failed to do request: Head "https://{registry}/v2/": dial tcp: lookup {registry}: no such host'
        return PullFailure("ErrImagePull", "ImagePullBackOff", f"rpc error: code = Unknown desc = {resolve}{why}")
    if registry.startswith(_PRIVATE):
        passwords = {_password(secret, registry) for secret in secrets} - {None}
        if not passwords:
            why = (
                "pull access denied, repository does not exist or may require authorization: "
                "authorization failed: no basic auth credentials"
            )
            return PullFailure("ErrImagePull", "ImagePullBackOff", f"rpc error: code = Unknown desc = {resolve}{why}")
        if _PASSWORD not in passwords:
            path = repository.partition("/")[2]
            why = f"unexpected status from HEAD request to https://{registry}/v2/{path}/manifests/{tag}: 401 Unauthorized"
            return PullFailure("ErrImagePull", "ImagePullBackOff", f"rpc error: code = Unknown desc = {resolve}{why}")
    return None


def _password(secret: dict[str, Any], registry: str) -> str | None:
    try:
        auths = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))["auths"]
        return str(auths[registry]["password"])
    except (KeyError, ValueError, TypeError):
        return None
