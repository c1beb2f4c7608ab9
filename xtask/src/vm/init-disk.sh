#!/bin/busybox sh
# Process 1 at first: loads the modules, puts the files onto the disk, and hands over to the disk's systemd.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
dmesg -n 1
while read -r module; do
    insmod "/modules/$module" || echo "@@ no-module $module"
done < /modules/order
mount -t ext4 /dev/vda /disk || { echo "no disk"; reboot -f; }
mv /files/trial.service /disk/etc/systemd/system/
mkdir -p /disk/etc/systemd/system/multi-user.target.wants
ln -s /etc/systemd/system/trial.service /disk/etc/systemd/system/multi-user.target.wants/
mv /files/* /disk/
umount /proc /sys
mount --move /dev /disk/dev
exec switch_root /disk /lib/systemd/systemd
