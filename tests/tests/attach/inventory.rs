//! The inventory and the watch against the rtnetlink crate and real changes.

use std::time::Duration;

use rst_tracer::links::{self, Change, Watch};
use rtnetlink::{LinkBridge, LinkUnspec};

use crate::lab::{delete, in_namespace, link, listed, netlink, veth};

#[test]
fn the_inventory_agrees_with_rtnetlink() {
    in_namespace(|| {
        veth("v0", "v1");
        let ours = links::inventory().expect("an inventory");
        let ours: Vec<_> = ours.into_iter().map(|l| (l.index, l.name, l.mtu)).collect();
        assert_eq!(ours, listed());
        assert!(ours.len() >= 3);
    });
}

#[test]
fn kind_driver_master_and_state_are_read() {
    in_namespace(|| {
        let (v0, v1) = veth("v0", "v1");
        assert_eq!((v0.kind.as_deref(), v0.driver.as_deref()), (Some("veth"), Some("veth")));
        assert!(v0.up && !v0.loopback && v0.parent.is_none());
        assert!(link("lo").loopback && link("lo").kind.is_none());
        assert_eq!(v1.offloads.lro, Some(false));
        let br0 = netlink(async |handle| {
            handle.link().add(LinkBridge::new("br0").build()).execute().await?;
            Ok(link("br0"))
        });
        netlink(async |handle| {
            let message = LinkUnspec::new_with_index(v0.index).controller(br0.index).build();
            handle.link().set(message).execute().await
        });
        assert_eq!(link("v0").master, Some(br0.index));
    });
}

/// Waits for the change that matters; a veth's birth is accompanied by others.
async fn until(watch: &mut Watch, wanted: impl Fn(&Change) -> bool) {
    let waiting = async { while !wanted(&watch.next().await.expect("a change")) {} };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("reported in time");
}

#[test]
fn the_watch_reports_what_appears_changes_and_vanishes() {
    in_namespace(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let mut watch = runtime.block_on(async { links::watch() }).expect("a watch");
        assert!(watch.known().any(|l| l.name == "lo"));

        let (v0, _) = veth("v0", "v1");
        runtime.block_on(until(&mut watch, |c| matches!(c, Change::Appeared(l) if l.name == "v0")));
        runtime.block_on(until(
            &mut watch,
            |c| matches!(c, Change::Changed(l) if l.name == "v0" && l.up),
        ));

        netlink(async |handle| {
            handle.link().add(LinkBridge::new("br0").build()).execute().await?;
            let message =
                LinkUnspec::new_with_index(v0.index).controller(link("br0").index).build();
            handle.link().set(message).execute().await?;
            let message = LinkUnspec::new_with_index(v0.index).nocontroller().build();
            handle.link().set(message).execute().await
        });
        runtime.block_on(until(
            &mut watch,
            |c| matches!(c, Change::Changed(l) if l.name == "v0" && l.master.is_some()),
        ));
        // Leaving a bridge is announced as RTM_DELLINK of the bridge family.
        runtime.block_on(until(&mut watch, |c| {
            assert!(!matches!(c, Change::Vanished(_)), "v0 left its bridge, it did not vanish");
            matches!(c, Change::Changed(l) if l.name == "v0" && l.master.is_none())
        }));

        delete(&v0);
        runtime.block_on(until(&mut watch, |c| matches!(c, Change::Vanished(l) if l.name == "v0")));
        assert!(!watch.known().any(|l| l.name == "v0"));
    });
}

#[test]
fn notices_that_the_kernel_had_to_drop_are_made_good() {
    in_namespace(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (v0, _) = veth("v0", "v1");
        let mut watch = runtime.block_on(async { links::watch() }).expect("a watch");
        // More notices than a socket buffer holds, then the ones that matter.
        netlink(async |handle| {
            for mtu in 1000..2000 {
                let message = LinkUnspec::new_with_index(v0.index).mtu(mtu).build();
                handle.link().set(message).execute().await?;
            }
            handle.link().add(LinkBridge::new("br0").build()).execute().await
        });
        delete(&v0);
        runtime.block_on(until(&mut watch, |c| matches!(c, Change::Vanished(l) if l.name == "v0")));
        assert!(watch.known().any(|l| l.name == "br0"), "it appeared while notices were dropped");
    });
}
