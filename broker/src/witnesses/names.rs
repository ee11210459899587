//! The addresses of a witness's host. A name is looked up by a thread of the system's resolver, which
//! takes as long as it likes: one look-up at a time for each witness, and until it is back the
//! addresses that were found last.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::lookup_host;
use tokio::sync::Semaphore;

/// One host's addresses.
#[derive(Clone, Debug)]
pub(super) struct Name {
    host: String,
    port: u16,
    known: Arc<Mutex<Vec<SocketAddr>>>,
    looking: Arc<Semaphore>,
}

impl Name {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            known: Arc::default(),
            looking: Arc::new(Semaphore::new(1)),
        }
    }

    /// Where to connect. Whoever stops waiting leaves the look-up behind, and no second one is begun.
    pub(super) async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let Ok(permit) = Arc::clone(&self.looking).try_acquire_owned() else {
            return self.found_last();
        };
        let (host, port, known) = (self.host.clone(), self.port, Arc::clone(&self.known));
        let looking = tokio::spawn(async move {
            let found = lookup_host((host, port)).await.map(Iterator::collect);
            if let Ok(found) = &found {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                Vec::clone_into(found, &mut known);
            }
            drop(permit);
            found
        });
        looking.await.map_err(io::Error::other)?
    }

    fn found_last(&self) -> io::Result<Vec<SocketAddr>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            let why = "its name is still being looked up";
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        Ok(known.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn while_one_look_up_hangs_no_other_is_begun_and_what_was_found_serves() {
        let name = Name::new("localhost", 7);
        let hanging = Arc::clone(&name.looking).try_acquire_owned().unwrap();
        let error = name.addresses().await.unwrap_err();
        assert!(
            error.to_string().contains("still being looked up"),
            "{error}"
        );
        drop(hanging);
        let found = name.addresses().await.unwrap();
        assert!(
            found
                .iter()
                .all(|at| at.ip().is_loopback() && at.port() == 7)
        );
        let _hanging = Arc::clone(&name.looking).try_acquire_owned().unwrap();
        assert_eq!(name.addresses().await.unwrap(), found);
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        let name = Name::new("::1", 7);
        let _hanging = Arc::clone(&name.looking).try_acquire_owned().unwrap();
        assert_eq!(
            name.addresses().await.unwrap(),
            ["[::1]:7".parse().unwrap()]
        );
    }
}
