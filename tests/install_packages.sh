#!/bin/sh
# Debian packages the full tests use. Installed when this may be done; the tests skip with a message where not.
set -u
wanted=""
command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || wanted="$wanted nginx-light"
command -v haproxy >/dev/null 2>&1 || [ -x /usr/sbin/haproxy ] || wanted="$wanted haproxy"
command -v prometheus >/dev/null 2>&1 || wanted="$wanted prometheus"
command -v wget >/dev/null 2>&1 || wanted="$wanted wget"
command -v chromium >/dev/null 2>&1 || wanted="$wanted chromium"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || wanted="$wanted postgresql"
[ -z "$wanted" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -q >/dev/null 2>&1
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $wanted >/dev/null 2>&1 ||
        echo "could not install:$wanted; the tests that need them are skipped" >&2
else
    echo "not installed:$wanted; the tests that need them are skipped" >&2
fi
exit 0
