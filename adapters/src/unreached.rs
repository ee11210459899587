//! Why a server was not reached, in words for whoever mends it. None repeats what a server said.

use std::io;

use rustls::{CertificateError, Error as TlsError};

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// No address.
    #[error("its name is not known here")]
    Name,
    /// What the system says of it.
    #[error("{}", in_words(*.0))]
    Io(io::ErrorKind),
}

/// What went wrong, in words that say more than the standard library's of the commonest.
pub(crate) fn in_words(kind: io::ErrorKind) -> String {
    if kind == io::ErrorKind::NotFound {
        "no such file or directory".to_owned()
    } else {
        kind.to_string()
    }
}

/// The host of a text that is `host:port`.
pub(crate) fn host_of(text: &str) -> Option<&str> {
    let (host, port) = text.rsplit_once(':')?;
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    (is_port && !host.is_empty()).then_some(host)
}

/// Whether the port of an address is a number, or there is none: the library takes any text for a port,
/// and gives none then.
pub(crate) fn has_good_port(at: &http::uri::Authority) -> bool {
    at.as_str() == at.host() || at.port_u16().is_some()
}

impl From<&io::Error> for Unreached {
    fn from(error: &io::Error) -> Self {
        // Of a name the standard library has these words only: its kind is none that can be named.
        let said = error.to_string();
        let of_name = ["failed to lookup address", "could not resolve"];
        if of_name.iter().any(|words| said.starts_with(words)) {
            Self::Name
        } else {
            Self::Io(error.kind())
        }
    }
}

/// Why TLS was not agreed on with a server.
pub(crate) fn tls_trouble(error: &io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let Some(error): Option<&TlsError> = inner else {
        return "the connection broke while TLS was agreed on";
    };
    if let TlsError::InvalidCertificate(why) = error {
        certificate_trouble(why)
    } else if matches!(error, TlsError::AlertReceived(_)) {
        "it broke TLS off: it may want a certificate of ours, or another one"
    } else if matches!(error, TlsError::InvalidMessage(_)) {
        "it speaks no TLS there"
    } else if matches!(error, TlsError::PeerIncompatible(_)) {
        "it speaks no TLS that can be used, 1.2 or 1.3"
    } else {
        "TLS could not be agreed on"
    }
}

fn certificate_trouble(why: &CertificateError) -> &'static str {
    use CertificateError as Why;
    // An issuer of the same name with another key is another issuer.
    if matches!(why, Why::UnknownIssuer | Why::BadSignature) {
        "its certificate does not lead to our roots"
    } else if matches!(
        why,
        Why::NotValidForName | Why::NotValidForNameContext { .. }
    ) {
        "its certificate has another name"
    } else if matches!(why, Why::Expired | Why::ExpiredContext { .. }) {
        "its certificate has expired"
    } else if matches!(why, Why::NotValidYet | Why::NotValidYetContext { .. }) {
        "its certificate is not good yet"
    } else {
        "its certificate is not believed"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_told_from_a_port_where_nobody_listens() {
        let error = tokio::net::TcpStream::connect("nowhere.invalid:1").await;
        assert_eq!(Unreached::from(&error.unwrap_err()), Unreached::Name);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let error = tokio::net::TcpStream::connect(address).await.unwrap_err();
        let unreached = Unreached::from(&error);
        assert_eq!(unreached.to_string(), "connection refused");
    }

    #[test]
    fn each_trouble_with_a_certificate_has_its_words() {
        let said = |why| {
            let error = TlsError::InvalidCertificate(why);
            tls_trouble(&io::Error::new(io::ErrorKind::InvalidData, error))
        };
        let all = [
            said(CertificateError::UnknownIssuer),
            said(CertificateError::NotValidForName),
            said(CertificateError::Expired),
            said(CertificateError::NotValidYet),
            said(CertificateError::Revoked),
            tls_trouble(&io::ErrorKind::ConnectionReset.into()),
        ];
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
