//! The doors to the network: each is there, is refused, and says so in the operator's log.
//! With none of them open, no socket ever exists, and the other functions of sockets have
//! nothing to work on.

use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{self, ResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{
    self, Error, ErrorCode, IpAddress, IpAddressFamily, Network,
};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{DynPollable, SocketError, SocketResult, TcpSocket, UdpSocket};

use crate::Level;
use crate::journal::Journal;
use crate::state::State;

/// Host functions that refuse.
pub(crate) struct Refusing;

impl HasData for Refusing {
    type Data<'a> = Refusal;
}

pub(crate) struct Refusal(Journal);

/// Those of a call.
pub(crate) fn refusing(state: &mut State) -> Refusal {
    Refusal(state.journal.clone())
}

impl Refusal {
    fn refuse<T>(&self, function: &str) -> SocketResult<T> {
        let said = format!("it called {function}: refused, as no plugin has sockets");
        Err(match self.0.log(Level::Warn, &said) {
            Ok(()) => ErrorCode::AccessDenied.into(),
            Err(stop) => SocketError::trap(stop),
        })
    }
}

impl network::Host for Refusal {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, _: Resource<Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl network::HostNetwork for Refusal {
    fn drop(&mut self, _: Resource<Network>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl tcp_create_socket::Host for Refusal {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.refuse("wasi:sockets/tcp-create-socket.create-tcp-socket")
    }
}

impl udp_create_socket::Host for Refusal {
    async fn create_udp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        self.refuse("wasi:sockets/udp-create-socket.create-udp-socket")
    }
}

impl ip_name_lookup::Host for Refusal {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        let name = crate::answer::shown(&name);
        self.refuse(&format!("wasi:sockets/ip-name-lookup.resolve-addresses of {name}"))
    }
}

impl ip_name_lookup::HostResolveAddressStream for Refusal {
    fn resolve_next_address(
        &mut self,
        _: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        self.refuse("wasi:sockets/ip-name-lookup.resolve-next-address")
    }

    fn subscribe(
        &mut self,
        _: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        wasmtime::bail!("there is no such stream")
    }

    fn drop(&mut self, _: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        Ok(())
    }
}
