#!/bin/bash
# What the package and its service must do in a Debian that systemd runs: `trial.sh STEP`, in the order of the file.
# Exit 0 is expected; every command of a step must succeed.
set -eu
events=/var/log/rst-tracer/events.jsonl
# DAC_READ_SEARCH, NET_ADMIN, SYS_PTRACE, PERFMON and BPF.
five=000000c000081004

of_service() { systemctl show --property "$1" --value rst-tracer; }
refuse() { ! bash -c "exec 3<>/dev/tcp/127.0.0.1/$1" 2>/dev/null; }
refused_at() { grep --quiet "\"port\":$1}.*\"cause\":\"closed_port\"" "$2"; }
await() { for _ in {1..40}; do "$@" && return; sleep 0.5; done; echo "in vain: $*"; return 1; }
has_five() { local set; for set in "${@:2}"; do grep --quiet "^Cap$set:.$five$" "$1"; done; }
restarts() { test "$(of_service NRestarts)" = "$1"; }

installing_starts_nothing() {
    dpkg --install /rst-tracer.deb
    ! systemctl is-enabled rst-tracer || false
    ! systemctl is-active rst-tracer || false
}

# With Type=notify the start returns when every interface is attached to.
starts() {
    printf 'interface = ["lo"]\noutput = ["json:%s", "text"]\n' $events > /etc/rst-tracer/config.toml
    systemctl enable --now rst-tracer || { journalctl --unit rst-tracer; false; }
    systemctl is-active rst-tracer
    test "$(of_service Type)" = notify
}

# A user of its own, five capabilities, and no way to more.
runs_with_less() {
    local status uid; status=/proc/$(of_service MainPID)/status
    grep -E '^(Uid|Cap|NoNewPrivs|Seccomp:)' "$status"
    uid=$(awk '/^Uid:/ { print $2 }' "$status")
    # Those of DynamicUser=.
    test "$uid" -ge 61184
    test "$uid" -le 65519
    has_five "$status" Prm Eff Bnd
    grep --quiet '^NoNewPrivs:.1$' "$status"
    grep --quiet '^Seccomp:.2$' "$status"
}

# In both outputs.
tells_a_reset() {
    refuse 9
    await refused_at 9 $events
    journalctl --unit rst-tracer | grep --quiet 'closed port'
}

# The next line is in the new file.
reloads_after_a_rotation() {
    mv $events $events.1
    systemctl reload rst-tracer
    refuse 11
    await refused_at 11 $events
    ! refused_at 11 $events.1 || false
    ! refused_at 9 $events || false
    systemctl is-active rst-tracer
}

# Started by root, with nothing said.
becomes_nobody() {
    rst-tracer trace -i lo -o json:/tmp/resets 2> /tmp/said &
    await grep --quiet 'Ctrl-C' /tmp/said
    grep -E '^(Uid|Cap|NoNewPrivs)' /proc/$!/status
    grep --quiet '^Uid:.65534.65534.65534.65534$' /proc/$!/status
    has_five /proc/$!/status Prm Eff Bnd
    refuse 12
    await refused_at 12 /tmp/resets
    kill -INT $!
    wait $!
}

# One that pings lives on; one that hangs is killed and started anew.
is_watched() {
    local drop_in=/run/systemd/system/rst-tracer.service.d
    test "$(of_service WatchdogUSec)" = 1min
    mkdir -p $drop_in
    printf '[Service]\nWatchdogSec=5\nTimeoutAbortSec=1\nRestartSec=1\n' > $drop_in/soon.conf
    systemctl daemon-reload
    systemctl restart rst-tracer
    sleep 8
    restarts 0
    kill -STOP "$(of_service MainPID)"
    await restarts 1
    rm -r $drop_in
    systemctl daemon-reload
    await systemctl --quiet is-active rst-tracer
}

# The new program runs, with the configuration that somebody changed.
survives_an_upgrade() {
    local pid; pid=$(of_service MainPID)
    dpkg --install --force-confold /rst-tracer.deb
    grep --quiet '^interface = ."lo".$' /etc/rst-tracer/config.toml
    systemctl is-enabled rst-tracer
    systemctl is-active rst-tracer
    test "$pid" != "$(of_service MainPID)"
}

# Configuration and events are kept.
ends_when_removed() {
    local pid; pid=$(of_service MainPID)
    dpkg --remove rst-tracer
    ! test -e "/proc/$pid" || false
    test -f /etc/rst-tracer/config.toml
    test -f $events
}

leaves_nothing_when_purged() {
    dpkg --purge rst-tracer
    ! find / -xdev -name '*rst-tracer*' ! -path /rst-tracer.deb | grep . || false
}

"$1"
