//! Which container a control group belongs to, by the path that its runtime gave it.
//!
//! In: the path of a control group. Out: the container's id, 64 hexadecimal digits, what runs it, and the unique id
//! of its Kubernetes pod. The innermost container counts: Kubernetes may itself run in Docker.

/// A container by what its path tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Container<'a> {
    /// Its id.
    pub id: &'a str,
    /// What runs it, by the name that Kubernetes gives it; `None` where several name their paths so.
    pub runtime: Option<&'static str>,
}

/// How a runtime names the control group of a container.
struct Shape {
    runtime: Option<&'static str>,
    /// What the name begins with, before the id.
    before: &'static str,
    /// What it ends with, behind the id.
    behind: &'static str,
    /// This must be the beginning of a directory above; empty: anywhere.
    below: &'static str,
}

const fn scope(runtime: &'static str, before: &'static str) -> Shape {
    Shape { runtime: Some(runtime), before, behind: ".scope", below: "" }
}

const fn named(runtime: &'static str, before: &'static str) -> Shape {
    Shape { runtime: Some(runtime), before, behind: "", below: "" }
}

const fn folder(runtime: Option<&'static str>, below: &'static str) -> Shape {
    Shape { runtime, before: "", behind: "", below }
}

/// systemd drivers name a scope, cgroupfs drivers a directory. The monitors of a container (conmon)
/// are not in it, and their names fit none of these.
const SHAPES: [Shape; 17] = [
    scope("docker", "docker-"),
    scope("containerd", "cri-containerd-"),
    scope("cri-o", "crio-"),
    scope("podman", "libpod-"),
    scope("containerd", "nerdctl-"),
    scope("containerd", "containerd-"),
    named("podman", "libpod-"),
    named("cri-o", "crio-"),
    // containerd and Docker with a systemd path handed to a cgroupfs driver: `…slice:docker:ID`.
    named("containerd", ":cri-containerd:"),
    named("docker", ":docker:"),
    // Kubernetes, ECS, containerd's own namespaces and Docker, by directory. Kubernetes in Docker is no Docker.
    folder(None, "kubepods"),
    // As a container beside it sees it, whose own path is the root.
    folder(None, "pod"),
    Shape { behind: ".scope", ..folder(None, "kubepods") },
    folder(None, "ecs"),
    folder(Some("containerd"), "k8s.io"),
    folder(Some("containerd"), "default"),
    folder(Some("docker"), "docker"),
];

/// The container, if the path is that of one.
pub(super) fn of(cgroup: &str) -> Option<Container<'_>> {
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
                || names[..at].iter().any(|dir| dir.starts_with(shape.below));
            (is_below && is_id(id)).then_some(Container { id, runtime: shape.runtime })
        })
    })
}

/// The unique id of the pod, if the path is below that of one: a UUID, or, of a pod that the node itself has a file for,
/// 32 hexadecimal digits. systemd drivers write its hyphens as underscores.
pub(super) fn pod(cgroup: &str) -> Option<String> {
    // From beside it, in a container of its own, only the end of the path is seen.
    let from = if cgroup.starts_with("/../") { 0 } else { cgroup.find("kubepods")? };
    cgroup[from..].split(['/', ':']).rev().find_map(|name| {
        let name = name.strip_suffix(".slice").unwrap_or(name);
        // No digit of an id is a letter of this word.
        let uid = name.get(name.rfind("pod")? + 3..)?;
        let is_hyphen = |at| matches!(at, 8 | 13 | 18 | 23);
        let is_uuid = uid.len() == 36
            && uid.bytes().enumerate().all(|(at, byte)| match byte {
                b'-' | b'_' => is_hyphen(at),
                digit => digit.is_ascii_hexdigit() && !is_hyphen(at),
            });
        let is_static = uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_uuid || is_static).then(|| uid.replace('_', "-"))
    })
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::{of, pod};

    fn id(cgroup: &str) -> Option<&str> {
        of(cgroup).map(|container| container.id)
    }

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
            format!("/../../pod2f5a6f0e-5c1b-4f0e-9e55-3f1f8a1a7c11/{A}"),
        ] {
            assert_eq!(id(&path), Some(A), "{path}");
        }
    }

    #[test]
    fn the_runtime_is_told_where_its_paths_are_its_own() {
        let runtime = |path: &str| of(path).expect("a container").runtime;
        for (path, expected) in [
            (format!("/system.slice/docker-{A}.scope"), Some("docker")),
            (format!("/docker/{A}"), Some("docker")),
            (
                format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{A}.scope"),
                Some("containerd"),
            ),
            (format!("/kubepods.slice/kubepods-pod1.slice/crio-{A}.scope"), Some("cri-o")),
            (format!("/system.slice/x.slice:cri-containerd:{A}"), Some("containerd")),
            (format!("/machine.slice/libpod-{A}.scope/container"), Some("podman")),
            (format!("/system.slice/nerdctl-{A}.scope"), Some("containerd")),
            (format!("/default/{A}"), Some("containerd")),
            (format!("/kubepods/burstable/pod1/{A}"), None),
            (format!("/docker/{B}/kubelet/kubepods/besteffort/pod1/{A}"), None),
            (format!("/ecs/0f2a5d1c/{A}"), None),
        ] {
            assert_eq!(runtime(&path), expected, "{path}");
        }
    }

    #[test]
    fn the_pod_is_told_as_its_cluster_names_it() {
        let uid = "2f5a6f0e-5c1b-4f0e-9e55-3f1f8a1a7c11";
        let with_underscores = uid.replace('-', "_");
        let burstable = format!("kubepods-burstable-pod{with_underscores}.slice");
        for path in [
            format!(
                "/kubepods.slice/kubepods-burstable.slice/{burstable}/cri-containerd-{A}.scope"
            ),
            format!("/kubepods.slice/kubepods-pod{with_underscores}.slice/docker-{A}.scope"),
            format!("/kubepods/burstable/pod{uid}/{A}"),
            format!(
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{with_underscores}.slice/x"
            ),
            format!("/system.slice/containerd.service/{burstable}:cri-containerd:{A}"),
            format!("/../../{burstable}/cri-containerd-{A}.scope"),
            format!("/../../../besteffort/pod{uid}/{A}"),
        ] {
            assert_eq!(pod(&path).as_deref(), Some(uid), "{path}");
        }
        let of_a_file = "c1e3a4d7a5b0f6e2c1d8b9a0f7e6d5c4";
        let path = format!("/kubepods/burstable/pod{of_a_file}/{A}");
        assert_eq!(pod(&path).as_deref(), Some(of_a_file));
        for path in [
            format!("/docker/{A}"),
            format!("/machine.slice/libpod-{A}.scope"),
            format!("/kubepods/besteffort/pod1/{A}"),
            format!("/machine.slice/pod{uid}/{A}"),
            format!("/kubepods/pod{}/{A}", uid.replace('-', "a")),
            "/kubepods.slice/kubepods-burstable.slice".to_owned(),
        ] {
            assert_eq!(pod(&path), None, "{path}");
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
