#!/bin/sh
# Makes the tool's environment inside the image: install.sh FOLDER TOOL VERSION EXTRAS REQUIREMENTS CONSTRAINTS
#   FOLDER   holds lib/ with the runner; gets environments/ and the link tool -> environments/<the one>
#   VERSION  exact version, empty for the newest supported one
#   EXTRAS   extras of the tool's package with commas between them (drivers, adapters), or empty
#   REQUIREMENTS, CONSTRAINTS  what projects need beside the tool and what limits it, one a line, or empty
set -eu

folder=$1 tool=$2 version=$3 extras=$4 requirements=${5:-} constraints=${6:-}
export PYTHONPATH="$folder/lib" DAGCTL_ENVIRONMENTS_DIR="$folder/environments"

set -f
set -- --tool "$tool"
if [ -n "$version" ]; then set -- "$@" --version "$version"; fi
for extra in $(printf '%s' "$extras" | tr ',' ' '); do set -- "$@" --extra "$extra"; done

if [ -n "$requirements" ]; then
    printf '%s\n' "$constraints" >"$folder/constraints.txt"
    printf '%s\n' "-c constraints.txt" "$requirements" >"$folder/requirements.txt"
    set -- "$@" --requirements "$folder/requirements.txt"
    export DAGCTL_CACHE_DIR="$folder/cache"
fi

# The last line is the path of the environment's interpreter; the ones before it tell what is done.
python -m dagctl_provider.runner install "$@" >"$folder/install.log" || { cat "$folder/install.log"; exit 1; }
cat "$folder/install.log"
interpreter=$(tail -n 1 "$folder/install.log")
rm -rf "$folder/install.log" "$folder/cache" "$folder/requirements.txt" "$folder/constraints.txt"
ln -s "$(dirname "$(dirname "$interpreter")")" "$folder/tool"

# A read-only root file system keeps no byte code, so it is made here.
python -m compileall -q "$folder/lib"
# Not 'dbt --version', which asks a package index for news.
case $tool in
dbt) module=dbt.cli.main ;;
*) module=$tool ;;
esac
"$folder/tool/bin/python" -c "import $module"
