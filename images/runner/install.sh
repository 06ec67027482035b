#!/bin/sh
# Makes the tool's environment inside the image: install.sh FOLDER TOOL VERSION EXTRAS
#   FOLDER   holds lib/ with the runner; gets environments/ and the link tool -> environments/<the one>
#   VERSION  exact version, empty for the newest supported one
#   EXTRAS   extras of the tool's package with commas between them (drivers, adapters), or empty
set -eu

folder=$1 tool=$2 version=$3 extras=$4
export PYTHONPATH="$folder/lib" DAGCTL_ENVIRONMENTS_DIR="$folder/environments"

set -f
set -- --tool "$tool"
if [ -n "$version" ]; then set -- "$@" --version "$version"; fi
for extra in $(printf '%s' "$extras" | tr ',' ' '); do set -- "$@" --extra "$extra"; done

# The last line is the path of the environment's interpreter; the ones before it tell what is done.
python -m dagctl_provider.runner install "$@" >"$folder/install.log" || { cat "$folder/install.log"; exit 1; }
cat "$folder/install.log"
interpreter=$(tail -n 1 "$folder/install.log")
rm "$folder/install.log"
ln -s "$(dirname "$(dirname "$interpreter")")" "$folder/tool"

# A read-only root file system keeps no byte code, so it is made here.
python -m compileall -q "$folder/lib"
# Not 'dbt --version', which asks a package index for news.
case $tool in
dbt) module=dbt.cli.main ;;
*) module=$tool ;;
esac
"$folder/tool/bin/python" -c "import $module"
