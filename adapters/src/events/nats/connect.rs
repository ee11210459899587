//! One connection to a server of NATS, by what the configuration says.

use std::error::Error as _;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectOptions, Event};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{ANSWER_MAX, NatsFault};
use crate::events::config::NatsSection;
use crate::source::words;
use crate::tls_files;
use crate::unreached::{Unreached, tls_trouble};

const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Connects, and tells when the connection breaks. The library would connect again by itself, and what
/// the server had sent by then would come half a minute later, behind newer events.
pub(super) async fn connect(section: &NatsSection) -> Result<(Client, Arc<Notify>), NatsFault> {
    let file = |key, path: &Path| {
        let path = path.to_owned();
        move |error| NatsFault::File { key, path, error }
    };
    let broken = Arc::new(Notify::new());
    let tell = Arc::clone(&broken);
    let mut options = ConnectOptions::new()
        .name("accord-adapter")
        .connection_timeout(CONNECT_MAX)
        .request_timeout(Some(ANSWER_MAX))
        // Each connection is a new one, with what is in the files by then.
        .max_reconnects(Some(1))
        .event_callback(move |event| {
            if matches!(event, Event::Disconnected | Event::Closed) {
                tell.notify_one();
            }
            std::future::ready(())
        });
    if let Some(roots) = &section.roots {
        let identity = section.certificate.as_deref().zip(section.key.as_deref());
        let tls = tls_files::client_config(roots, identity)?;
        options = options.require_tls(true).tls_client_config(tls);
    }
    if let Some(path) = &section.credentials_file {
        let text = tokio::fs::read_to_string(path).await;
        let text = text.map_err(file("credentials_file", path))?;
        let added = options.credentials(&text);
        options = added.map_err(file("credentials_file", path))?;
    }
    if let (Some(user), Some(path)) = (&section.user, &section.password_file) {
        let password = tokio::fs::read_to_string(path).await;
        let password = password.map_err(file("password_file", path))?;
        let password = password.trim_end_matches(['\n', '\r']).to_owned();
        options = options.user_and_password(user.clone(), password);
    }
    let connecting = options.connect(section.servers.clone());
    let connected = timeout(CONNECT_MAX * 2, connecting).await;
    let client = connected
        .map_err(|_| NatsFault::Silent)?
        .map_err(|error| match error.kind() {
            async_nats::ConnectErrorKind::AuthorizationViolation
            | async_nats::ConnectErrorKind::Authentication => NatsFault::Refused,
            async_nats::ConnectErrorKind::ServerParse
            | async_nats::ConnectErrorKind::Dns
            | async_nats::ConnectErrorKind::TimedOut
            | async_nats::ConnectErrorKind::Tls
            | async_nats::ConnectErrorKind::Io
            | async_nats::ConnectErrorKind::MaxReconnects => NatsFault::Connect(why(&error)),
        })?;
    Ok((client, broken))
}

/// In words of ours, where the system said why: the library's are `IO error`.
fn why(error: &ConnectError) -> String {
    let cause = error.source();
    let io = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
    match io {
        Some(io)
            if io
                .get_ref()
                .is_some_and(|inner| inner.is::<rustls::Error>()) =>
        {
            tls_trouble(io).to_owned()
        }
        Some(io) => Unreached::from(io).to_string(),
        None => words(error),
    }
}
