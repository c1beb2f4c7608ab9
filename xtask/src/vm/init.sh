#!/bin/busybox sh
# Process 1 of the guest: mounts what tracing needs, loads the modules, then runs /commands.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TERM=dumb
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mkdir -p /dev/shm /run/netns
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# The console must carry whole lines: the kernel's own messages stay in dmesg.
dmesg -n 1
while read -r module; do
    insmod "/modules/$module" || echo "@@ no-module $module"
done < /modules/order
ip link set lo up
hostname vm
. /commands
# With qemu's -no-reboot this ends the machine.
echo "@@ done"
reboot -f
