//! Whose call it is.

use std::fmt;

/// CNI's key for one attachment: a container, on one network, by one interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachmentId {
    /// The network's name.
    pub network: String,
    /// The container's id.
    pub container: String,
    /// The interface's name in the container.
    pub ifname: String,
}

impl fmt::Display for AttachmentId {
    /// "NETWORK/CONTAINER/IFNAME": as text, the key of an attachment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container, self.ifname)
    }
}

/// The Kubernetes pod behind an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name in the namespace.
    pub name: String,
    /// Its unique id, where the runtime says it.
    pub uid: Option<String>,
}

/// An attachment, as far as the runtime tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its key.
    pub id: AttachmentId,
    /// The pod, where there is one.
    pub pod: Option<Pod>,
    /// `CNI_ARGS`, then the strings of `args.cni`, as given; a name may come twice.
    pub args: Vec<(String, String)>,
}

impl Attachment {
    /// One of no pod, with no arguments: for tests.
    pub fn new(network: &str, container: &str, ifname: &str) -> Self {
        let id = AttachmentId {
            network: network.to_owned(),
            container: container.to_owned(),
            ifname: ifname.to_owned(),
        };
        Self { id, pod: None, args: Vec::new() }
    }

    /// The same for a pod.
    pub fn with_pod(self, namespace: &str, name: &str) -> Self {
        let pod = Pod { namespace: namespace.to_owned(), name: name.to_owned(), uid: None };
        Self { pod: Some(pod), ..self }
    }

    /// The same with one more argument.
    pub fn with_arg(mut self, name: &str, value: &str) -> Self {
        self.args.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The pod's namespace, where there is a pod.
    pub fn namespace(&self) -> Option<&str> {
        self.pod.as_ref().map(|pod| pod.namespace.as_str())
    }

    /// The last argument of this name.
    pub fn arg(&self, name: &str) -> Option<&str> {
        self.args.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}
