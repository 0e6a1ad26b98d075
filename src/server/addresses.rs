//! Names to listen on, and the listeners themselves.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use crate::base::config::Config;
use crate::base::error::SetupError;
use crate::sys::listener::{ListenOptions, listen_each};

/// The addresses that one `bind` names. `localhost` is both loopback addresses, whatever the host's resolver says.
pub(super) fn resolve(setting: &'static str, name: &str) -> Result<Vec<SocketAddr>, SetupError> {
    const RIGHT: &str = "an address and a port, such as localhost:3000, 0.0.0.0:80 or [::]:443";
    if let Some(port) = name.strip_prefix("localhost:") {
        let port: u16 = port.parse().map_err(|_| SetupError::setting(setting, name, RIGHT))?;
        return Ok([IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()]
            .map(|ip| (ip, port).into())
            .to_vec());
    }
    // A port alone would be asked of the resolver, as the port of a host without a name.
    if name.starts_with(':') {
        return Err(SetupError::setting(setting, name, RIGHT));
    }
    match name.to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Err(SetupError::setting(setting, name, RIGHT))
        }
        Err(error) => {
            Err(SetupError::host(format!("resolve {name}"), error, "give an address instead of a name"))
        }
    }
}

/// Listens on every address, once per shard: `listeners[address][shard]`, with the number of the name that each address is of.
///
/// An IPv6 address that this host does not have is left out, as long as one address of the same name is left.
pub(super) fn listen(
    names: &[Vec<SocketAddr>],
    shards: usize,
    config: &Config,
) -> Result<Vec<(usize, Vec<TcpListener>)>, SetupError> {
    let options = ListenOptions {
        backlog: config.backlog,
        notsent_lowat: config.notsent_lowat,
        reuse_port: config.reuse_port,
    };
    let mut listeners = Vec::new();
    for (name, addresses) in names.iter().enumerate() {
        let mut port = None;
        let mut left_out = None;
        let before = listeners.len();
        for address in addresses {
            let mut address = *address;
            // One name with port 0 is one port, on all of its addresses.
            if let Some(port) = port.filter(|_| address.port() == 0) {
                address.set_port(port);
            }
            match listen_each(address, shards, options) {
                Ok(listening) => {
                    port = listening[0].local_addr().ok().map(|address| address.port());
                    listeners.push((name, listening));
                }
                Err(error) if address.is_ipv6() && is_not_here(&error) => left_out = Some((address, error)),
                Err(error) => return Err(refused(address, error)),
            }
        }
        if let Some((address, error)) = left_out {
            if listeners.len() == before {
                return Err(refused(address, error));
            }
            tracing::info!(%address, "not listening there: this host has no such IPv6 address");
        }
    }
    Ok(listeners)
}

fn is_not_here(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

fn refused(address: SocketAddr, error: io::Error) -> SetupError {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there: stop it, or choose another port".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose a higher one than {}",
                address.port()
            )
        }
        io::ErrorKind::AddrNotAvailable => "the address is none of this host's own".to_owned(),
        _ if error.raw_os_error() == Some(24) => {
            "the fd limit is too small: raise it with ulimit -n".to_owned()
        }
        _ => "choose another address".to_owned(),
    };
    SetupError::host(format!("listen on {address}"), error, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_both_loopback_addresses() {
        let both = resolve("bind", "localhost:3000").unwrap();
        assert_eq!(both, ["127.0.0.1:3000".parse().unwrap(), "[::1]:3000".parse().unwrap()]);
    }

    #[test]
    fn a_wrong_address_is_named_with_what_would_be_right() {
        for wrong in [":8080", "localhost", "localhost:x", "localhost:70000", "127.0.0.1"] {
            let said = resolve("bind", wrong).unwrap_err().to_string();
            assert!(said.contains(wrong) && said.contains("localhost:3000"), "{said}");
        }
    }

    #[test]
    fn a_port_in_use_is_one_clear_line() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        for shards in [1, 3] {
            let said = listen(&[vec![address]], shards, &Config::default()).unwrap_err().to_string();
            assert!(said.contains(&address.to_string()) && said.contains("another program"), "{said}");
        }
    }

    #[test]
    fn port_0_is_one_port_for_all_addresses_and_shards() {
        let listeners = listen(&[resolve("bind", "localhost:0").unwrap()], 2, &Config::default()).unwrap();
        let ports: Vec<_> = listeners
            .iter()
            .flat_map(|(_, each)| each)
            .map(|listener| listener.local_addr().unwrap().port())
            .collect();
        assert!(ports.len() >= 2 && ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
    }
}
