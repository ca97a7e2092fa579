#!/bin/sh
# clang for static programs on musl; the target is in the name of this copy: <triple>-clang. Every path is relative
# to the script, so that it works from any folder, and a path that is relative stays so (for __FILE__ and the like).
root=${0%/*}
triple=${0##*/}
triple=${triple%-clang}
case $triple in
x86_64-linux-musl) sysroot=$root/amd64 ;;
aarch64-linux-musl) sysroot=$root/arm64 ;;
*)
	echo "$0: no sysroot for $triple; see toolchains/cc/clang.sh" >&2
	exit 1
	;;
esac
# -z is spelled out because clang's own choice depends on the machine's /etc/os-release.
exec "$root/clang" \
	--start-no-unused-arguments \
	-no-canonical-prefixes \
	--target="$triple" \
	--sysroot="$sysroot" \
	-resource-dir="$sysroot/usr/lib/llvm-19/lib/clang/19" \
	-isystem "$sysroot/usr/include/$triple" \
	-O2 \
	-fstack-protector-strong \
	-ffile-compilation-dir=. \
	-Werror=date-time \
	-static \
	-B"$sysroot/usr/lib/$triple" \
	-L"$sysroot/usr/lib/$triple" \
	--ld-path="$root/ld.lld" \
	-rtlib=compiler-rt \
	-unwindlib=none \
	-Wl,--build-id=none,--fatal-warnings,-z,relro,-z,now \
	--end-no-unused-arguments \
	"$@"
