//! The methods of both protocols, by name.

use serde_json::{Value, json};
use wharfinger_attach::{Host, half};
use wharfinger_cni::{Attach, AttachmentId, CniError, NetConf, Plugin, Success, Version};
use wharfinger_docker::{Refused, SPACES, wire};

use super::Server;
use super::ipam::Ipam;
use super::network::Networks;
use crate::program::Program;
use crate::serve::Served;

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The text is for the user.
    Refused(String),
    /// The body is not what the method takes.
    Undecodable(String),
    /// There is no such method: Docker takes this, and this alone, for "not supported".
    Unknown,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused.0)
    }
}

impl From<CniError> for Failure {
    fn from(error: CniError) -> Self {
        Self::Refused(format!("{} (code {})", error.msg, error.code))
    }
}

impl From<wharfinger_attach::Error> for Failure {
    fn from(error: wharfinger_attach::Error) -> Self {
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        Self::Refused(format!("{error}{hint}"))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Refused(format!("{error:#}"))
    }
}

/// One call's answer.
pub(crate) type Answer = Result<Value, Failure>;

/// Answers one call.
pub(crate) fn answer(server: &Server, method: &str, body: &[u8]) -> Answer {
    if let Some(answer) = fixed(server, method) {
        return Ok(answer);
    }
    let Some((role, verb)) = method.split_once('.') else { return Err(Failure::Unknown) };
    match role {
        "NetworkDriver" => network(server, verb, body),
        "IpamDriver" => ipam(server, verb, body),
        _ => Err(Failure::Unknown),
    }
}

/// What is the same always.
fn fixed(server: &Server, method: &str) -> Option<Value> {
    let scope = if server.global { "global" } else { "local" };
    Some(match method {
        "Plugin.Activate" => json!({ "Implements": ["NetworkDriver", "IpamDriver"] }),
        "NetworkDriver.GetCapabilities" => {
            json!({ "Scope": scope, "ConnectivityScope": scope })
        }
        "NetworkDriver.DiscoverNew" | "NetworkDriver.DiscoverDelete" => json!({}),
        "IpamDriver.GetCapabilities" => {
            json!({ "RequiresMACAddress": false, "RequiresRequestReplay": false })
        }
        "IpamDriver.GetDefaultAddressSpaces" => json!({
            "LocalDefaultAddressSpace": SPACES[0], "GlobalDefaultAddressSpace": SPACES[1],
        }),
        _ => return None,
    })
}

fn network(server: &Server, verb: &str, body: &[u8]) -> Answer {
    let known = [
        "AllocateNetwork",
        "FreeNetwork",
        "CreateNetwork",
        "DeleteNetwork",
        "CreateEndpoint",
        "DeleteEndpoint",
        "EndpointOperInfo",
        "Join",
        "Leave",
        "ProgramExternalConnectivity",
        "RevokeExternalConnectivity",
    ];
    if !known.contains(&verb) {
        return Err(Failure::Unknown);
    }
    if verb == "AllocateNetwork" {
        return allocated(&read(body)?);
    }
    if verb == "FreeNetwork" {
        return read::<wire::About>(body).map(|_| json!({}));
    }
    let program = server.program()?;
    let networks = Networks { server, program: &program };
    if verb == "CreateNetwork" {
        return networks.create(&read(body)?);
    }
    let about: wire::About = read(body)?;
    match verb {
        "DeleteNetwork" => networks.delete(&about),
        "CreateEndpoint" => networks.create_endpoint(&about),
        "DeleteEndpoint" => networks.delete_endpoint(&about),
        "EndpointOperInfo" => networks.info(&about),
        "Join" => networks.join(&about),
        "ProgramExternalConnectivity" => networks.publish(&about),
        // After a live restore no Revoke comes.
        _ => networks.withdraw(&about),
    }
}

fn ipam(server: &Server, verb: &str, body: &[u8]) -> Answer {
    let known = ["RequestPool", "ReleasePool", "RequestAddress", "ReleaseAddress"];
    if !known.contains(&verb) {
        return Err(Failure::Unknown);
    }
    let program = server.program()?;
    let ipam = Ipam { server, program: &program };
    match verb {
        "RequestPool" => ipam.request_pool(&read(body)?),
        "ReleasePool" => ipam.release_pool(&read(body)?),
        "RequestAddress" => ipam.request_address(&read(body)?),
        _ => ipam.release_address(&read(body)?),
    }
}

/// A swarm's manager asks what its nodes are to be told: the user's options.
fn allocated(request: &wire::CreateNetwork) -> Answer {
    wharfinger_docker::Id::parse("NetworkID", &request.network)?;
    Ok(json!({ "Options": request.options }))
}

fn read<T: for<'de> serde::Deserialize<'de>>(body: &[u8]) -> Result<T, Failure> {
    if body.is_empty() {
        let text = "the call came without a body, as Docker 20.10 sends one again that was cut off: \
                    do it again";
        return Err(Failure::Undecodable(text.to_owned()));
    }
    wire::read(body).map_err(|error| Failure::Undecodable(error.to_string()))
}

/// A configuration of our own making, as a runtime's would be read.
pub(crate) fn conf(value: &Value) -> Result<NetConf, CniError> {
    NetConf::parse(value.to_string().as_bytes(), &Version::ALL)
}

/// A call of a verb: the interface is in the host's own namespace, from where Docker takes it.
pub(crate) fn call(conf: NetConf, container: &str, ifname: &str) -> Attach {
    Attach {
        id: AttachmentId {
            network: conf.name.clone(),
            container: container.to_owned(),
            ifname: ifname.to_owned(),
        },
        netns: Some(half::NETNS.into()),
        args: Vec::new(),
        path: Vec::new(),
        netns_override: true,
        conf,
        prev_result: None,
    }
}

/// ADD, finished before Docker has its answer: that is not heard of here, and Docker asks again
/// where it did not come.
pub(crate) fn add(program: &Program, call: &Attach) -> Result<Success, CniError> {
    let served = Served::new(program);
    let success = served.add(call)?;
    served.replied(call, true);
    Ok(success)
}

/// DEL.
pub(crate) fn del(program: &Program, call: &Attach) -> Result<(), CniError> {
    Served::new(program).del(call)
}

/// Something with the ledger.
pub(crate) fn with<T>(
    program: &Program,
    work: impl Fn(&Host) -> Result<T, wharfinger_attach::Error>,
) -> Result<T, Failure> {
    Ok(program.verb(work)?)
}
