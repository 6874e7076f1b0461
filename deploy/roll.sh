#!/bin/sh
# Replaces the gateways of compose.yaml by new ones, one after the other, and no caller notices:
# out of nginx, drain (SIGTERM; as long as SWITCHBOARD_DRAIN_TIMEOUT), new container, healthy, back into nginx.
# nginx cannot see /readyz, and would go on sending streams to a gateway that drains, as it has the fewest connections.
set -eu
cd "$(dirname "$0")"

reload() {
    docker compose exec -T nginx nginx -t -q
    docker compose exec -T nginx nginx -s reload
}

# Written in place: the container sees this very file, and would go on seeing an old one that was replaced.
edit() {
    sed "$1" nginx.conf > "$copy"
    cat "$copy" > nginx.conf
}

copy=$(mktemp)
trap 'edit "s/:8080 down /:8080 /"; rm -f "$copy"' EXIT
trap 'exit 130' INT TERM

docker compose build gateway-1 gateway-2
for gateway in gateway-1 gateway-2; do
    edit "s/server $gateway:8080 /server $gateway:8080 down /"
    reload
    docker compose up --detach --no-deps --wait "$gateway"
    edit "s/server $gateway:8080 down /server $gateway:8080 /"
    # Also because the new container may have another address, and nginx looks a name up only here.
    reload
done
