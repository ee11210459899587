//! Why a broker was not reached, in words: what the transport nests in each other, told once.

use std::{error::Error, io};

use tonic::Status;

/// One line that names the endpoint.
pub(crate) fn why(endpoint: &str, status: &Status) -> String {
    let mut next = status.source();
    while let Some(error) = next {
        let words = error
            .downcast_ref::<io::Error>()
            .and_then(|error| io_words(endpoint, error))
            .or_else(|| Some(tls_words(endpoint, error.downcast_ref()?)));
        if let Some(words) = words {
            return words;
        }
        next = error.source();
    }
    if status.source().is_some() {
        format!("the connection to {endpoint} broke")
    } else if status.message().is_empty() {
        format!("{endpoint} says that it is not available")
    } else {
        format!("{endpoint} says: {}", one_line(status.message()))
    }
}

/// The same of an error of the connection itself.
pub(crate) fn of_io(endpoint: &str, error: &io::Error) -> String {
    io_words(endpoint, error).unwrap_or_else(|| one_line(&error.to_string()))
}

/// `None` where a cause further down says more.
fn io_words(endpoint: &str, error: &io::Error) -> Option<String> {
    let inner = error.get_ref();
    if let Some(tls) = inner.and_then(|inner| inner.downcast_ref()) {
        return Some(tls_words(endpoint, tls));
    }
    // Whatever kind is not known by name here has words of its own.
    if error.kind() == io::ErrorKind::ConnectionRefused {
        Some(format!("connection refused by {endpoint}"))
    } else if error.kind() == io::ErrorKind::TimedOut {
        Some(format!("no connection to {endpoint} in time"))
    } else if BROKEN.contains(&error.kind()) {
        Some(format!("the connection to {endpoint} broke"))
    } else if inner.is_some_and(|inner| inner.source().is_some()) {
        None
    } else {
        let words = one_line(&error.to_string());
        Some(format!("can't connect to {endpoint}: {words}"))
    }
}

const BROKEN: [io::ErrorKind; 5] = [
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::NotConnected,
    io::ErrorKind::UnexpectedEof,
];

fn tls_words(endpoint: &str, error: &rustls::Error) -> String {
    format!(
        "TLS with {endpoint} failed: {}",
        one_line(&error.to_string())
    )
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const BROKER: &str = "127.0.0.1:7443";

    fn told(error: impl Error + Send + Sync + 'static) -> String {
        let mut status = Status::unavailable("tcp connect error");
        status.set_source(Arc::new(error));
        why(BROKER, &status)
    }

    #[test]
    fn what_broke_is_told_in_one_line_with_the_endpoint() {
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        for (error, words) in [
            (
                io::ErrorKind::ConnectionRefused.into(),
                "connection refused by 127.0.0.1:7443",
            ),
            (
                io::ErrorKind::TimedOut.into(),
                "no connection to 127.0.0.1:7443 in time",
            ),
            (
                io::ErrorKind::ConnectionReset.into(),
                "the connection to 127.0.0.1:7443 broke",
            ),
            (
                io::Error::new(io::ErrorKind::InvalidData, expired),
                "TLS with 127.0.0.1:7443 failed: invalid peer certificate: Expired",
            ),
            (
                io::Error::other("no such\nhost"),
                "can't connect to 127.0.0.1:7443: no such host",
            ),
        ] {
            assert_eq!(told(error), words);
        }
    }

    #[test]
    fn what_a_broker_says_is_its_own() {
        let full = Status::unavailable("the ledger is full");
        assert_eq!(
            why(BROKER, &full),
            "127.0.0.1:7443 says: the ledger is full"
        );
    }
}
