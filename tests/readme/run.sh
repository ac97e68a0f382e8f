#!/bin/bash
# run.sh [ROOT]: a newcomer's first quarter of an hour. Every sh block of the README runs, one after the other in one shell, in a bare Debian 12 root
# (debootstrap; only git, make and ca-certificates in it), in a clone of this checkout; its C program is ward.c there. Then chromium, outside, opens
# the README's link to the page and must find the processors' series drawn (page.test.js).
# Exit 77: this is not a place for it (no root, no mirror, ports taken). ROOT is made when absent and kept; without it a temporary one.
set -u
cd "$(dirname "$0")/../.." || exit 2
not_here() { echo "readme: left out: $*"; exit 77; }
[ "$(id -u)" = 0 ] || not_here "making a Debian root needs root"
for port in 9470 9100; do
	! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || not_here "something listens on port $port, which the README uses"
done
root=${1:-$(mktemp -d /var/tmp/silex-readme.XXXXXX)}
keep=${1:-}
mkdir -p "$root" && chmod 755 "$root" # others than root look into it, too

# What still runs in the root.
inside() { for p in /proc/[0-9]*; do [ "$(readlink "$p/root")" != "$root" ] || echo "${p#/proc/}"; done; }
end() {
	for signal in TERM KILL; do
		for p in $(inside); do kill -s $signal "$p" 2>/dev/null; done
		for _ in 1 2 3 4 5 6 7 8 9 10; do [ -z "$(inside)" ] || sleep 0.5; done
	done
	umount -l "$root/dev" "$root/proc" 2>/dev/null
	[ -n "$keep" ] || rm -rf --one-file-system "$root"
}
trap end EXIT

if [ ! -x "$root/usr/bin/apt-get" ]; then
	mirror=$(grep -rhE '^(deb |URIs:)' /etc/apt/sources.list /etc/apt/sources.list.d/ 2>/dev/null | grep -oE 'https?://[^ ]*debian/?( |$)' | head -1)
	debootstrap --variant=minbase bookworm "$root" "${mirror:-http://deb.debian.org/debian}" >"$root.log" 2>&1 ||
		{ tail -3 "$root.log"; rm -f "$root.log"; not_here "debootstrap could not make a root"; }
	rm -f "$root.log"
	# The host's way to its mirror: names, sources, keys, proxies.
	cp /etc/resolv.conf "$root/etc/"
	if cp /etc/apt/sources.list.d/debian*.sources "$root/etc/apt/sources.list.d/" 2>/dev/null; then : >"$root/etc/apt/sources.list"; fi
	cp /etc/apt/apt.conf.d/99* "$root/etc/apt/apt.conf.d/" 2>/dev/null
	cp /usr/share/keyrings/debian* "$root/usr/share/keyrings/"
fi
mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && mount --make-rslave "$root/dev" || exit 1
rm -rf "$root/src" && git clone -q . "$root/src" || exit 1

# block LANGUAGE: its blocks, in order.
block() { awk -v start="^\`\`\`$1\$" '$0 ~ start { inside = 1; next } /^```/ { inside = 0 } inside' README.md; }
block c >"$root/src/ward.c"
block sh >"$root/root/readme.sh"
url=$(grep -oE 'http://127\.0\.0\.1:9470/#/[^)]+' README.md | head -1)
[ -n "$url" ] || { echo "readme: README.md has no link to the page"; exit 1; }

# Output goes to a file: the servers that the blocks leave behind would keep a pipe open.
chroot "$root" env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 sh -c '
	apt-get update -qq && apt-get install -y -qq --no-install-recommends git make ca-certificates || exit 1
	cd /src && sh -eux /root/readme.sh' >"$root/root/out" 2>&1 </dev/null
status=$?
[ $status = 0 ] || { tail -60 "$root/root/out"; echo "readme: the README's blocks failed (exit $status)"; exit 1; }
grep -E 'tests passed|tests failed' "$root/root/out"
[ -d tests/web/node_modules ] || npm --prefix tests/web ci --no-audit --no-fund --loglevel=error || exit 1
README_URL=$url node --test tests/readme/page.test.js
