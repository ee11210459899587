//! Ports for brokers that come back at the same place.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use aws_lc_rs::rand;

use super::WorldError;

/// Ports that a world chooses from. They lie below those that the system gives to outgoing
/// connections: a client that dials a broker which is down could otherwise take its port.
const PORT_MIN: u16 = 12_000;
const PORT_MAX: u16 = 32_000;
const TRIES_MAX: u32 = 64;

/// Where a broker listens on loopback; 0: the system chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) grpc: u16,
    pub(super) admin: u16,
    pub(super) tiles: u16,
    /// Chosen when the world is written, where there is such a door: its URL stands in the
    /// configuration.
    pub(super) camara: Option<u16>,
}

/// The port as it is, or a free one where it is 0.
pub(super) fn free_port(port: u16) -> Result<u16, WorldError> {
    if port != 0 {
        return Ok(port);
    }
    let mut taken = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES_MAX {
        let mut random = [0; 2];
        rand::fill(&mut random).map_err(|_| WorldError::NoRandom)?;
        let port = PORT_MIN + u16::from_le_bytes(random) % (PORT_MAX - PORT_MIN);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => taken = error,
        }
    }
    Err(WorldError::io("listen on", Path::new("127.0.0.1"))(taken))
}
