//! The gRPC door, for the same tokens.

use std::sync::Arc;

use accord_proto::v1::{
    self, LookupRequest, signal_answer::Outcome, signal_service_client::SignalServiceClient,
};
use accord_tests::world::client_tls;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

use crate::rig::Rig;

/// A connection with a party's certificate.
pub(crate) fn channel(rig: &Rig, party: &str) -> Channel {
    let pki = rig.dir.path().join("pki");
    let config = client_tls(&pki, Some(party), &[b"h2"]).unwrap();
    let (tls, address) = (
        TlsConnector::from(Arc::new(config)),
        rig.broker.grpc_address(),
    );
    let connector = tower::service_fn(move |_| {
        let tls = tls.clone();
        async move {
            let tcp = TcpStream::connect(address).await?;
            let name = ServerName::try_from("localhost").unwrap();
            tls.connect(name, tcp).await.map(TokioIo::new)
        }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
}

/// A good question: whether the SIM was swapped. The purpose is the token's.
pub(crate) fn question(number: &str) -> LookupRequest {
    let swap = v1::SwapQuestion {
        threshold_hours: 72,
    };
    LookupRequest {
        msisdn: number.to_owned(),
        signals: vec![v1::SignalQuestion {
            signal: Some(v1::signal_question::Signal::SimSwap(swap)),
        }],
        ..LookupRequest::default()
    }
}

pub(crate) fn roaming() -> v1::SignalQuestion {
    v1::SignalQuestion {
        signal: Some(v1::signal_question::Signal::Roaming(Default::default())),
    }
}

/// Asks, and gives what was told of the first signal, in the words of `Debug`.
pub(crate) async fn send(
    channel: &Channel,
    token: &str,
    question: LookupRequest,
) -> Result<String, Status> {
    let mut request = Request::new(question);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    let mut client = SignalServiceClient::new(channel.clone());
    let response = client.lookup(request).await?.into_inner();
    let answer = v1::Answer::decode(&*response.answer).unwrap();
    let outcome = answer.signals.into_iter().next().unwrap().outcome.unwrap();
    assert!(matches!(outcome, Outcome::Value(_)), "{outcome:?}");
    Ok(format!("{outcome:?}"))
}

pub(crate) async fn ask(channel: &Channel, token: &str, number: &str) -> Result<String, Status> {
    send(channel, token, question(number)).await
}

/// `ErrorInfo.reason`.
pub(crate) fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details
        .error_info()
        .map_or_else(String::new, |info| info.reason.clone())
}
