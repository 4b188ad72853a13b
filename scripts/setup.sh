#!/bin/bash
# Installs what is missing on a Debian machine to build bootlace and run it: through the machine's ordinary package
# tools, as root or by sudo. Where nothing is missing it asks no network and takes a moment.
#
#   scripts/setup.sh build    compiler and Rust toolchain
#   scripts/setup.sh lab      and what the lab runs (default)
#   scripts/setup.sh test     and the clients and servers of the tests
#
# No daemon starts on the machine's network: packages without services are taken where Debian has them (dnsmasq-base,
# not dnsmasq), while packages are installed a policy-rc.d refuses the start of services (one that the machine already
# has is left as it is), and a libvirt that comes with us is not started at the next boot either.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=(ca-certificates gcc libc6-dev make)
lab=(cpio debian-archive-keyring dnsmasq-base ethtool ipxe-qemu iproute2 ovmf procps qemu-system-x86 seabios
    tcpdump util-linux)
test=(atftp bootpc busybox-static curl debootstrap dhcpcd-base isc-dhcp-client isc-dhcp-relay libvirt-clients
    libvirt-daemon-system ovmf-ia32 qemu-efi-aarch64 qemu-system-arm tftp-hpa tshark u-boot-qemu udhcpc virtinst xz-utils)
# Taken where the release has them.
optional=(vagrant vagrant-libvirt)

say() { echo "setup: $*" >&2; }
die() {
    say "$*"
    exit 1
}

case ${1:-lab} in
build) packages=("${build[@]}") optional=() ;;
lab) packages=("${build[@]}" "${lab[@]}") optional=() ;;
test) packages=("${build[@]}" "${lab[@]}" "${test[@]}") ;;
*)
    echo "usage: $0 [build|lab|test]" >&2
    exit 2
    ;;
esac

# Root's programs, whatever the caller's PATH is.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# --- the right to install -------------------------------------------------------------------------------------------

# Runs a command as root. $1 and on: the command.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        # The variables are given by name: sudo drops those of its caller.
        sudo DEBIAN_FRONTEND="$DEBIAN_FRONTEND" NEEDRESTART_SUSPEND="$NEEDRESTART_SUSPEND" "$@"
    else
        die "needs root for: $*
setup: run it as root, or install sudo"
    fi
}
export DEBIAN_FRONTEND=noninteractive
# needrestart would restart services of the machine for our sake.
export NEEDRESTART_SUSPEND=1

# --- no service starts ----------------------------------------------------------------------------------------------

policy=/usr/sbin/policy-rc.d
mark="of bootlace's scripts/setup.sh, in place only while it installs packages"
guarded=

guard() {
    # One of ours that a killed run left behind is taken over, and removed this time.
    if [ -e "$policy" ] && ! grep -qs "$mark" "$policy"; then
        return
    fi
    guarded=yes
    printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

unguard() {
    if [ -n "$guarded" ]; then
        guarded=
        as_root rm -f "$policy"
    fi
}
trap unguard EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- packages -------------------------------------------------------------------------------------------------------

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Prints those of the arguments that are not installed.
missing() {
    local package
    for package in "$@"; do
        installed "$package" || echo "$package"
    done
}

updated=
update() {
    [ -z "$updated" ] || return 0
    updated=yes
    say "reading the package lists"
    # A source of another vendor that fails is not our business; what we need shows below.
    as_root apt-get update -qq || say "some package sources could not be read; going on with the others"
}

# The version that would be installed, or nothing.
candidate() {
    LC_ALL=C apt-cache policy "$1" | sed -n 's/^  Candidate: \(.*\)/\1/p' | grep -v '(none)' || true
}

# A question about a changed configuration file is answered with the machine's own.
apt_options=(-y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold)

# Installs the arguments.
install() {
    local -a extra=()
    update
    if ! apt-get -qq -s "${apt_options[@]}" install "$@" >/dev/null 2>&1 && installed qemu-utils; then
        # Some machine images carry a qemu-utils of backports, which does not go with the release's QEMU.
        local release
        # shellcheck source=/dev/null
        release=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
        if apt-get -qq -s "${apt_options[@]}" --allow-downgrades install "$@" "qemu-utils/$release" >/dev/null 2>&1; then
            say "this machine's qemu-utils does not go with Debian's QEMU: taking that of $release"
            extra=(--allow-downgrades "qemu-utils/$release")
        fi
    fi
    say "installing: $*"
    guard
    as_root apt-get -qq "${apt_options[@]}" install "$@" "${extra[@]}" >/dev/null ||
        die "apt-get could not install: $*"
    unguard
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    die "this is no Debian machine. Install what these packages of Debian hold, and Rust, then run make with SETUP=no:
setup: ${packages[*]}"
fi

mapfile -t wanted < <(missing "${packages[@]}")
mapfile -t extras < <(missing "${optional[@]}")
if [ ${#extras[@]} -gt 0 ]; then
    update
    for package in "${extras[@]}"; do
        if [ -n "$(candidate "$package")" ]; then
            wanted+=("$package")
        else
            say "this release has no $package; what needs it is left out"
        fi
    done
fi
if [ ${#wanted[@]} -gt 0 ]; then
    install "${wanted[@]}"
fi
# The tests start a libvirt of their own, in namespaces. One that was here before is the machine's, and stays as it is.
if [[ " ${wanted[*]} " == *" libvirt-daemon-system "* ]] && command -v systemctl >/dev/null; then
    mapfile -t units < <(systemctl list-unit-files --no-legend --state=enabled 'libvirt*' 'virt*' | cut -d ' ' -f 1)
    if [ ${#units[@]} -gt 0 ]; then
        as_root systemctl --quiet disable "${units[@]}" || say "could not disable: ${units[*]}"
    fi
fi

# --- a Debian folder with cloud-init ----------------------------------------------------------------------------------

if [ "${1:-lab}" = test ]; then
    as_root scripts/cloud-init-root
fi

# --- Rust -----------------------------------------------------------------------------------------------------------

want=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' Cargo.toml)

# True when the candidate of package $1 is new enough.
new_enough() {
    local version
    version=$(candidate "$1")
    [ -n "$version" ] && dpkg --compare-versions "$version" ge "$want"
}

rustup_stable() {
    say "fetching Rust's stable toolchain by rustup"
    "$1" toolchain install stable --profile minimal --component rustfmt --component clippy
}

# Each way to a toolchain in turn, the machine's own first.
rust() {
    local rustup
    rustup=$(PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin command -v rustup || true)
    if [ -n "$rustup" ]; then
        rustup_stable "$rustup"
        return
    fi
    update
    if new_enough rustc-web; then
        # Debian keeps a newer Rust under this name, for its browsers. It takes the place of an older rustc.
        install rustc-web cargo-web rustfmt-web rust-web-clippy
    elif new_enough rustc; then
        install rustc cargo rustfmt rust-clippy
    elif [ -n "$(candidate rustup)" ]; then
        install rustup
        rustup_stable rustup
    else
        die "needs Rust $want or newer, and this release has none: install it from https://rustup.rs"
    fi
}

if ! scripts/cargo --find >/dev/null 2>&1; then
    rust
    scripts/cargo --find >/dev/null
fi
