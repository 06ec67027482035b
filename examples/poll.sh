#!/bin/sh
# Fetch runs and model executions that have changed since the last call, as the API answers them, one page a line.
#
#   DAGCTL_URL=… DAGCTL_TOKEN=… DAGCTL_ORGANIZATION=… examples/poll.sh PROJECT [STATE-FILE]
#
# A change may become visible a little after its time, so the last 60 seconds are asked for once more: whoever reads this drops
# rows whose id and updated_at it has seen.
set -eu

if [ "${1:---help}" = "--help" ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 0
fi
: "${DAGCTL_URL:?say where Airflow is}" "${DAGCTL_TOKEN:?}" "${DAGCTL_ORGANIZATION:?}"
project=$1
state=${2:-dagctl-poll.txt}

ago() { # seconds before a moment in seconds since 1970, RFC 3339
    date -u -d "@$(($1 - $2))" +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -r "$(($1 - $2))" +%Y-%m-%dT%H:%M:%SZ
}

now=$(date +%s)
last=$(cat "$state" 2>/dev/null || echo $((now - 86400)))
since=$(ago "$last" 60)
for list in runs model-executions; do
    page=1
    while :; do
        answer=$(curl --silent --show-error --fail-with-body --max-time 30 --get \
            --header "Authorization: Bearer $DAGCTL_TOKEN" --header "X-Organization-ID: $DAGCTL_ORGANIZATION" \
            --data-urlencode "updated_after=$since" --data "limit=500" --data "page=$page" \
            "${DAGCTL_URL%/}/api/v1/projects/$project/$list")
        printf '%s\n' "$answer"
        pages=$(printf '%s' "$answer" | sed -n 's/.*"total_pages": *\([0-9]*\).*/\1/p')
        [ "${pages:-0}" -gt "$page" ] || break
        page=$((page + 1))
    done
done
# Only now: a call that failed is made again from where the last one came to.
echo "$now" >"$state"
