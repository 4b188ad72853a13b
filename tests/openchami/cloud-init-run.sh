#!/bin/sh
# Runs the real cloud-init as a node that boots from the network, in a Debian folder: $1 the folder, which stays as
# it is, $2 the kernel command line, $3 a file for /etc/cloud/cloud.cfg.d. Prints what came of it, in sections.
# To be started in mount, UTS and PID namespaces of its own, and in the node's network namespace.
set -eu
folder=$1 cmdline=$2 settings=$3
mount --make-rprivate /
work=$(mktemp -d)
mount -t tmpfs -o size=256m tmpfs "$work"
mkdir "$work/changes" "$work/work" "$work/root"
mount -t overlay -o "lowerdir=$folder,upperdir=$work/changes,workdir=$work/work" overlay "$work/root"
root=$work/root
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
printf '%s\n' "$cmdline" >"$work/cmdline"
mount --bind "$work/cmdline" "$root/proc/cmdline"
cp "$settings" "$root/etc/cloud/cloud.cfg.d/99-test.cfg"

in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"
}
code=0
for stage in "init --local" "init" "modules --mode=config" "modules --mode=final"; do
    # shellcheck disable=SC2086
    in_root cloud-init $stage >"$work/said" 2>&1 || code=$?
    echo "=== stage $stage: $code"
    cat "$work/said"
done
show() {
    echo "=== $1"
    in_root cat "$2" 2>&1 || true
}
echo "=== host name"
uname -n
show users /etc/passwd
show keys /home/builder/.ssh/authorized_keys
show file /etc/bootlace-test
show ran /root/ran
show instance /run/cloud-init/instance-data.json
show result /run/cloud-init/result.json
show log /var/log/cloud-init.log
exit "$code"
