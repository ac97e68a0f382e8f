#!/bin/bash
# setup.sh build|page|test|clients|readme|fuzz|lint|format|coverage|arm64: installs the Debian 12 packages that a make target needs, only those
# missing. Does nothing, fast, when all are there. Needs root, or sudo without a password; else says what to install.
set -u
build="gcc libc6-dev cmake ninja-build pkg-config libzstd-dev liblz4-dev libxxhash-dev libpcre2-dev libedit-dev zlib1g-dev
	libmicrohttpd-dev libgnutls28-dev libwslay-dev libuv1-dev libyaml-dev libjansson-dev libcurl4-openssl-dev nettle-dev libexpat1-dev libmosquitto-dev libsnappy-dev lemon re2c"
test="$build libcmocka-dev python3 binutils curl prometheus prometheus-node-exporter prometheus-alertmanager mosquitto mosquitto-clients collectd-core libprotobuf-c1"
# Debian's npm does not install over another node.
if command -v npm >/dev/null; then npm=""; else npm="nodejs npm"; fi
case ${1:-} in
build) want=$build ;;
page) want=$npm ;;
clients) want="$build $npm chromium mosquitto" ;;
test) want=$test ;;
readme) want="git $npm chromium debootstrap" ;;
s3) want="$test $npm swift-proxy swift-account swift-container swift-object python3-swift memcached" ;;
fuzz) want="$test clang libclang-rt-14-dev" ;;
lint) want="cppcheck python3" ;;
format) want=clang-format ;;
coverage) want="$test gcovr" ;;
peers) want="$build python3 victoria-metrics prometheus" ;;
deb) want="$build dpkg-dev fakeroot" ;;
arm64) want="debootstrap qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross cmake ninja-build pkg-config" ;;
*) echo "usage: scripts/setup.sh build|page|test|clients|readme|fuzz|lint|format|coverage|arm64" >&2; exit 2 ;;
esac

command -v dpkg-query >/dev/null || {
	echo "setup.sh: not a Debian system; '$1' needs what these Debian 12 packages hold: $want" >&2
	exit 0
}
missing=""
for p in $want; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) in
	installed*) ;; # several architectures print the word several times
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
	as_root="sudo -n"
	$as_root true 2>/dev/null || {
		echo "setup.sh: '$1' needs packages and this is neither root nor sudo without a password. Please run:" >&2
		echo "  sudo apt-get install --no-install-recommends$missing" >&2
		exit 1
	}
fi
echo "setup.sh: installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() { $as_root apt-get install -y -q --no-install-recommends $missing >"$log" 2>&1 </dev/null; }
# The package lists may be absent or old: fetch them only when the first try fails.
install || { $as_root apt-get update -q >"$log" 2>&1 </dev/null && install; } || {
	tail -20 "$log" >&2
	echo "setup.sh: apt-get could not install:$missing" >&2
	exit 1
}
