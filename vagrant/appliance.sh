#!/bin/bash
# Makes the appliance of the Vagrantfile: builds bootlace from /bootlace, fetches what the machines boot, and serves
# the VLAN as a service. Running it again brings it up to date. $1: the appliance's address on the VLAN.
set -euo pipefail
address=$1

cd /bootlace
scripts/setup.sh build
scripts/cargo build --locked
install -m 755 target/debug/bootlace /usr/local/bin/bootlace

bootlace firmware fetch
bootlace firmware installer --to /srv/bootlace
install -d /etc/bootlace
install -m 644 config/nodes.yaml /etc/bootlace/nodes.yaml
install -m 644 src/lab/boot.yaml /etc/bootlace/boot.yaml

interface=$(ip -o -4 addr show to "$address" | awk '{ print $2; exit }')
cat > /etc/systemd/system/bootlace.service <<EOF
[Unit]
Description=bootlace network boot appliance
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=/usr/local/bin/bootlace serve --interface $interface --mode reservation --nodes /etc/bootlace/nodes.yaml \
    --boot /etc/bootlace/boot.yaml --assets /srv/bootlace
ExecReload=/bin/kill -HUP \$MAINPID
Restart=on-failure

[Install]
WantedBy=multi-user.target
EOF
systemctl daemon-reload
systemctl enable bootlace
systemctl restart bootlace
