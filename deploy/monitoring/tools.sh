# Sourced: puts Debian's `prometheus` and `promtool` on the PATH. Where the package is not installed it is unpacked into $work,
# and no service is started. False where it cannot be had.
have_prometheus() {
  command -v promtool >/dev/null && command -v prometheus >/dev/null && return 0
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
  mkdir -p "$work/package"
  (cd "$work/package" && { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; }) \
    >"$work/package.log" 2>&1 || { tail -n 3 "$work/package.log"; return 1; }
  dpkg --extract "$work"/package/prometheus_*.deb "$work/package" || return 1
  export PATH="$work/package/usr/bin:$PATH"
}
