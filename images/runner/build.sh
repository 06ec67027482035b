#!/bin/sh
# Builds a runner image with the engine that is here; `make image` calls it from the top of the checkout.
#   TOOL (sqlmesh), VERSION (newest supported), EXTRAS (dbt: one at least), PYTHON_VERSION (3.11), IMAGE (dagctl-runner:<tool>-<version>),
#   REQUIREMENTS (a project's folder or one file of requirements, whose packages the image gets as well), DAGCTL_ALLOW_SOURCE_PACKAGES,
#   PYTHON_IMAGE, PIP_INDEX_URL, UV_DEFAULT_INDEX, DAGCTL_EXCLUDE_NEWER, PUSH (1), PYTHON (python3), ENGINE (docker or podman)
set -eu

fail() {
    echo "$1" >&2
    exit 2
}

runner="${PYTHON:-python3} -m dagctl_provider.runner"
tool=${TOOL:-sqlmesh}
known=$($runner versions --tool "$tool") || exit 2
version=${VERSION:-$(printf '%s\n' "$known" | tail -n 1 | cut -d ' ' -f 2)}
printf '%s\n' "$known" | cut -d ' ' -f 2 | grep -Fqx -- "$version" || fail "$tool $version is not supported. See: $runner versions --tool $tool"
[ "$tool" != dbt ] || [ -n "${EXTRAS:-}" ] || fail "dbt does nothing without an adapter for its database: EXTRAS=postgres, snowflake, duckdb ..."
requirements= constraints=
if [ -n "${REQUIREMENTS:-}" ]; then
    requirements=$($runner requirements --tool "$tool" "$REQUIREMENTS") || exit 2
    constraints=$($runner requirements --tool "$tool" --constraints "$REQUIREMENTS") || exit 2
fi
image=${IMAGE:-dagctl-runner:$tool-$version}

engine=${ENGINE:-}
for candidate in ${engine:-docker podman}; do
    if command -v "$candidate" >/dev/null 2>&1 && "$candidate" info >/dev/null 2>&1; then
        found=$candidate
        break
    fi
done
[ -n "${found:-}" ] || fail "No container engine answers: neither 'docker info' nor 'podman info' works here. Start one, or build images/runner/Dockerfile
where there is one:  docker build -f images/runner/Dockerfile --build-arg TOOL=$tool --build-arg TOOL_VERSION=$version -t $image ."

set -- --file images/runner/Dockerfile --build-arg "TOOL=$tool" --build-arg "TOOL_VERSION=$version" --tag "$image"
[ -z "${EXTRAS:-}" ] || set -- "$@" --build-arg "EXTRAS=$EXTRAS"
[ -z "$requirements" ] || set -- "$@" --build-arg "REQUIREMENTS=$requirements" --build-arg "CONSTRAINTS=$constraints"
for name in PYTHON_VERSION PYTHON_IMAGE PIP_INDEX_URL UV_DEFAULT_INDEX DAGCTL_EXCLUDE_NEWER DAGCTL_ALLOW_SOURCE_PACKAGES; do
    # Without a value the engine takes it from the environment; what is not set there keeps the Dockerfile's default.
    if printenv "$name" >/dev/null; then set -- "$@" --build-arg "$name"; fi
done
echo "Building $image with $found ..."
"$found" build "$@" .
if [ "${PUSH:-}" = 1 ]; then "$found" push "$image"; fi
