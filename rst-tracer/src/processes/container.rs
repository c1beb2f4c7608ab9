//! Which container a control group belongs to, by the path that its runtime gave it.
//!
//! In: the path of a control group. Out: the container's id, 64 hexadecimal digits. The innermost
//! container counts: Kubernetes may itself run in Docker.

/// How a runtime names the control group of a container.
struct Shape {
    /// What the name begins with, before the id.
    before: &'static str,
    /// What it ends with, behind the id.
    behind: &'static str,
    /// One of these must be the beginning of a directory above; none: anywhere.
    below: &'static [&'static str],
}

const fn scope(before: &'static str) -> Shape {
    Shape { before, behind: ".scope", below: &[] }
}

/// systemd drivers name a scope, cgroupfs drivers a directory. The monitors of a container (conmon)
/// are not in it, and their names fit none of these.
const SHAPES: [Shape; 12] = [
    scope("docker-"),
    scope("cri-containerd-"),
    scope("crio-"),
    scope("libpod-"),
    scope("nerdctl-"),
    scope("containerd-"),
    Shape { before: "libpod-", behind: "", below: &[] },
    Shape { before: "crio-", behind: "", below: &[] },
    // containerd and Docker with a systemd path handed to a cgroupfs driver: `…slice:docker:ID`.
    Shape { before: ":cri-containerd:", behind: "", below: &[] },
    Shape { before: ":docker:", behind: "", below: &[] },
    // Docker, ECS, Kubernetes and containerd's own namespaces, by directory.
    Shape { before: "", behind: "", below: &["docker", "ecs", "kubepods", "k8s.io", "default"] },
    Shape { before: "", behind: ".scope", below: &["kubepods"] },
];

/// The id of the container, if the path is that of one.
pub(super) fn id(cgroup: &str) -> Option<&str> {
    let names: Vec<&str> = cgroup.split('/').collect();
    names.iter().enumerate().rev().find_map(|(at, name)| {
        SHAPES.iter().find_map(|shape| {
            let rest = name.strip_suffix(shape.behind)?;
            // A path in one name has other words before the runtime's.
            let id = match shape.before {
                before if before.starts_with(':') => rest.split_once(before)?.1,
                before => rest.strip_prefix(before)?,
            };
            let is_below = shape.below.is_empty()
                || names[..at].iter().any(|dir| shape.below.iter().any(|b| dir.starts_with(b)));
            (is_below && is_id(id)).then_some(id)
        })
    })
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::id;

    const A: &str = "4f1c2d9be0a7f6c35d2e8b1a90c4d7e6f5a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9";
    const B: &str = "a09f8e7d6c5b4a39281706f5e4d3c2b1a0f9e8d7c6b5a493827160f5e4d3c2b1";

    #[test]
    fn the_paths_of_the_runtimes_are_known() {
        let pod = "pod2f5a6f0e_5c1b_4f0e_9e55_3f1f8a1a7c11";
        for path in [
            format!("/system.slice/docker-{A}.scope"),
            format!("/docker/{A}"),
            format!("/docker/{B}/docker/{A}"),
            format!("/docker/{A}/system.slice/nginx.service"),
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-{pod}.slice/cri-containerd-{A}.scope"
            ),
            format!(
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-{pod}.slice/crio-{A}.scope"
            ),
            format!("/kubepods.slice/kubepods-{pod}.slice/docker-{A}.scope"),
            format!("/kubepods/burstable/pod2f5a6f0e-5c1b-4f0e-9e55-3f1f8a1a7c11/{A}"),
            format!(
                "/system.slice/containerd.service/kubepods-burstable-{pod}.slice:cri-containerd:{A}"
            ),
            format!("/docker/{B}/kubelet/kubepods/besteffort/pod1/{A}"),
            format!("/machine.slice/libpod-{A}.scope"),
            format!("/machine.slice/libpod-{A}.scope/container"),
            format!(
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container"
            ),
            format!("/libpod_parent/libpod-{A}"),
            format!("/default/{A}"),
            format!("/system.slice/nerdctl-{A}.scope"),
            format!("/ecs/0f2a5d1c/{A}"),
            format!("/../../docker-{A}.scope"),
        ] {
            assert_eq!(id(&path), Some(A), "{path}");
        }
    }

    #[test]
    fn what_is_no_container_has_no_id() {
        for path in [
            "/".to_owned(),
            "/system.slice/nginx.service".to_owned(),
            "/system.slice/docker.service".to_owned(),
            "/user.slice/user-0.slice/session-3.scope".to_owned(),
            format!("/machine.slice/libpod-conmon-{A}.scope"),
            format!("/kubepods.slice/crio-conmon-{A}.scope"),
            format!("/process_api/{A}"),
            format!("/system.slice/docker-{}.scope", &A[..12]),
            format!("/system.slice/docker-{}.scope", A.to_uppercase()),
        ] {
            assert_eq!(id(&path), None, "{path}");
        }
    }
}
