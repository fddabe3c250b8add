//! What is looked at: plain data, gathered by the executable.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Everything.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// As uname(2) has it: "6.1.0-18-amd64".
    pub kernel: String,
    /// Of this executable.
    pub version: String,
    /// The configuration directory.
    pub conf: Conf,
    /// The directories of plugins, in the order in which they are searched.
    pub bin: Vec<BinDir>,
    /// Files and directories that decide, or hold what decides.
    pub owned: Vec<Owned>,
    /// What is wrong with the node's settings.
    pub settings: Option<String>,
    /// What is wrong with the ledger.
    pub ledger: Option<String>,
    /// Ledgers that were set aside.
    pub set_aside: Vec<String>,
    /// What is not as it should be in the store of components: object, what.
    pub store: Vec<(String, String)>,
    /// What is to be said of certificates: whether they are of no use already, what.
    pub certificates: Vec<(bool, String)>,
    /// Directories of state: free and all bytes.
    pub room: Vec<(String, u64, u64)>,
    /// Kernel parameters: "net.ipv4.ip_forward" to "1".
    pub sysctls: BTreeMap<String, String>,
    /// Chains of others that drop what is forwarded: the chain, how.
    pub drops: Vec<(String, String)>,
    /// Networks of ours.
    pub networks: Vec<Network>,
    /// Routes of the host.
    pub routes: Vec<Route>,
    /// Whether the ledger has an attachment.
    pub attached: bool,
    /// Attachments that live and are not as they were made: the attachment, what differs first.
    pub drifted: Vec<(String, String)>,
    /// Attachments of the ledger that are proven dead.
    pub dead: Vec<String>,
    /// Attachments that links and rules name, and the ledger does not know: the attachment, by what.
    pub orphans: Vec<(String, String)>,
    /// Reservations in files for containers that nobody knows: file, container.
    pub reserved: Vec<(String, String)>,
    /// Named namespaces in which nobody is, and which no attachment has.
    pub namespaces: Vec<String>,
    /// Links that a manager of networks configures: link, manager, by what.
    pub managed: Vec<(String, String, String)>,
    /// Files that give links other MAC addresses.
    pub link_files: Vec<String>,
    /// Files of udev's rules that count, and what is in them.
    pub udev: Vec<(String, String)>,
    /// Links of ours on the host: those that are there, and what one would be called.
    pub links: Vec<String>,
    /// Whether firewalld runs.
    pub firewalld: bool,
    /// Whether Docker has networks, pools or the socket of ours: such a node needs no CNI.
    pub docker: bool,
    /// What could not be looked at, and why.
    pub unseen: Vec<(String, String)>,
}

/// A configuration directory.
#[derive(Debug, Clone, Default)]
pub struct Conf {
    /// Where.
    pub path: String,
    /// Whether it is not there.
    pub absent: bool,
    /// Why it cannot be read, where it is there.
    pub error: Option<String>,
    /// In the order in which runtimes read them.
    pub files: Vec<ConfFile>,
    /// What else lies there.
    pub others: Vec<String>,
}

/// A file of it.
#[derive(Debug, Clone)]
pub struct ConfFile {
    /// Its name.
    pub name: String,
    /// What it says, or why it cannot be read.
    pub says: Result<Says, String>,
}

/// What a network's file says.
#[derive(Debug, Clone, Default)]
pub struct Says {
    /// The network.
    pub network: String,
    /// The version of the protocol; none where it says none.
    pub version: Option<String>,
    /// Whether that version is spoken here.
    pub spoken: bool,
    /// The types of its plugins, and of their IPAM, each once, that an executable has to provide.
    pub types: Vec<String>,
    /// Whether some entry of it is ours.
    pub ours: bool,
    /// Whether `firewall` is among its plugins or features.
    pub firewall: bool,
}

/// A directory of plugins.
#[derive(Debug, Clone, Default)]
pub struct BinDir {
    /// Where.
    pub path: String,
    /// Why it cannot be read.
    pub error: Option<String>,
    /// What is in it.
    pub files: Vec<Bin>,
}

/// A file of it.
#[derive(Debug, Clone)]
pub struct Bin {
    /// Its name.
    pub name: String,
    /// Whether it can be run.
    pub executable: bool,
    /// Whether it is this very executable, or a copy of it, by whatever name.
    pub us: bool,
}

/// A file or directory that only its owner is to write.
#[derive(Debug, Clone)]
pub struct Owned {
    /// Where.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Who is to be its owner.
    pub wanted: u32,
}

/// A network of ours.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its driver; empty where another plugin makes its links.
    pub driver: String,
    /// Its features.
    pub features: Vec<String>,
    /// What of it the kernel lacks.
    pub missing: Vec<String>,
    /// Why an ADD would fail now.
    pub unwell: Option<String>,
    /// What of that which its attachments share is not as it was made.
    pub impaired: Option<String>,
    /// Whether its packets are to be forwarded by the host.
    pub routed: bool,
    /// Its bridge.
    pub bridge: Option<String>,
    /// The address space.
    pub domain: String,
    /// Its addresses.
    pub ranges: Vec<(IpAddr, IpAddr)>,
}

/// A route of the host.
#[derive(Debug, Clone)]
pub struct Route {
    /// Whereto.
    pub to: IpNet,
    /// By which link.
    pub link: String,
    /// Whether the link is an attachment's.
    pub ours: bool,
}
