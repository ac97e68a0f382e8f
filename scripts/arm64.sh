#!/bin/bash
# arm64.sh [NAME]: cross-compiles the rooms of the library for arm64 against an arm64 Debian 12 root and runs their unit tests
# under qemu-user. The root lies in $SLX_ARM64_ROOT (/var/tmp/silex-arm64), is made once by debootstrap (about 100 MB of
# downloads), and is unpacked only, never run: qemu maps its libraries into each test (-L), so no binfmt is needed.
set -eu
cd "$(dirname "$0")/.."
name=${1:-}
root=${SLX_ARM64_ROOT:-/var/tmp/silex-arm64}
libs=libc6-dev,libgcc-12-dev,libzstd-dev,liblz4-dev,libxxhash-dev,libpcre2-dev,libedit-dev,zlib1g-dev,libcmocka-dev

if [ ! -e "$root/.ready" ]; then
	[ "$(id -u)" = 0 ] || { echo "arm64.sh: making the arm64 root in $root needs root" >&2; exit 1; }
	mirror=$(grep -rhE '^(deb |URIs:)' /etc/apt/sources.list /etc/apt/sources.list.d/ 2>/dev/null |
		grep -oE 'https?://[^ ]*debian/?( |$)' | head -1)
	echo "arm64.sh: making the arm64 root in $root"
	rm -rf "$root"
	debootstrap --foreign --arch=arm64 --variant=minbase --include="$libs" bookworm "$root" \
		"${mirror:-http://deb.debian.org/debian}" >/tmp/silex-arm64.log 2>&1 || { tail -5 /tmp/silex-arm64.log >&2; exit 1; }
	for deb in "$root"/var/cache/apt/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink --skip-old-files
	done
	rm -f "$root"/var/cache/apt/archives/*.deb
	touch "$root/.ready"
fi

export PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_LIBDIR=$root/usr/lib/aarch64-linux-gnu/pkgconfig:$root/usr/share/pkgconfig
[ -e build-arm64/CMakeCache.txt ] || export CMAKE_GENERATOR=Ninja
cmake -S . -B build-arm64 -DCMAKE_TOOLCHAIN_FILE=cmake/arm64.cmake -DSLX_ARM64_ROOT="$root" -DCMAKE_BUILD_TYPE=Release \
	-DSILEX_TESTS=ON -DSILEX_BENCH=OFF -DSILEX_PROGRAM=OFF >build-arm64.log 2>&1 || { cat build-arm64.log >&2; exit 1; }
rm -f build-arm64.log
cmake --build build-arm64 -j "$(nproc)"
file=$(readelf -h build-arm64/libsilex.so | sed -n 's/.*Machine: *//p')
echo "arm64.sh: libsilex.so is $file; kernels: the scalar ones (NEON only where the compiler vectorises)"
ctest --test-dir build-arm64 -j "$(nproc)" -L unit -E '^(floors|tidy|headers)_' --timeout 600 --output-on-failure \
	--no-tests=error ${name:+-R "$name"}
