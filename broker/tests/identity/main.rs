//! Certificates and tokens, with real TLS over loopback.

// `cfg(test)` tells clippy that helpers here are test code too.
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod issued;
#[cfg(test)]
mod open_connections;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod remembered;
#[cfg(test)]
mod support;
#[cfg(test)]
mod token;
