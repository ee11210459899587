//! Health, readiness, metrics and reflection.

use accord_certs::LeafOptions;
use accord_proto::v1::signal_service_client::SignalServiceClient;
use accord_tests::world::{World, WorldSpec, admin_page};
use tokio::time::{Duration, timeout};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    caller::{Caller, question, refused_at_last, told},
    record,
    said::{Stage, north, now},
};

/// What the admin port answers, headers and all.
pub(crate) async fn admin(world: &World, path: &str) -> String {
    admin_page(world.broker.admin_address(), path)
        .await
        .unwrap()
}

async fn health(channel: &Channel, service: &str) -> Result<i32, Status> {
    let service = service.to_owned();
    let mut health = HealthClient::new(channel.clone());
    let checked = health.check(HealthCheckRequest { service }).await?;
    Ok(checked.into_inner().status)
}

/// What reflection says to one request; nothing, if it could not read it.
async fn reflection(
    channel: &Channel,
    request: MessageRequest,
) -> Result<Option<MessageResponse>, Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(request),
    };
    let mut reflection = ServerReflectionClient::new(channel.clone());
    let messages = tokio_stream::iter([request]);
    let mut said = reflection
        .server_reflection_info(messages)
        .await?
        .into_inner();
    Ok(said.message().await?.and_then(|said| said.message_response))
}

const LIST: MessageRequest = MessageRequest::ListServices(String::new());

#[tokio::test]
async fn health_and_reflection_answer_over_grpc() {
    let stage = Stage::sandbox().await;
    let channel = Caller::party(&stage, "first-bank").channel;
    for service in ["accord.v1.SignalService", ""] {
        let status = health(&channel, service).await.unwrap();
        assert_eq!(status, ServingStatus::Serving as i32, "{service}");
    }
    let said = reflection(&channel, LIST).await.unwrap();
    let Some(MessageResponse::ListServicesResponse(services)) = said else {
        panic!("{said:?}");
    };
    let names: Vec<String> = services
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for name in [
        "AdapterService",
        "AgreementService",
        "AuditService",
        "SignalService",
    ] {
        assert!(names.contains(&format!("accord.v1.{name}")), "{names:?}");
    }
}

#[tokio::test]
async fn health_and_reflection_are_for_those_whom_the_other_doors_let_in() {
    let stage = Stage::sandbox().await;
    let nameless = LeafOptions::at(now()).without_identity();
    let pki = stage.files.pki().unwrap();
    let leaf = pki.issue("bank", "first-bank", &nameless).unwrap();
    let stranger = Caller::with_leaf(&stage, &leaf).channel;
    let asked = health(&stranger, "").await.unwrap_err();
    let listed = reflection(&stranger, LIST).await.unwrap_err();
    for refused in [asked, listed] {
        let reason = "CERTIFICATE_NO_IDENTITY".to_owned();
        assert_eq!(told(&refused), (Code::Unauthenticated, reason, None));
    }
    // A certificate that was good is not so for ever, and its party is on the record.
    let channel = Caller::party(&stage, "second-bank").channel;
    health(&channel, "").await.unwrap();
    let before = record::size(&stage);
    stage.files.revoke("second-bank").unwrap();
    let refused = refused_at_last(async || health(&channel, "").await).await;
    assert_eq!(told(&refused).1, "CERTIFICATE_REVOKED");
    let recorded = record::refused(&record::since(&stage, before));
    assert!(
        recorded.iter().any(|(party, method, reason, _)| {
            party.ends_with("/second-bank")
                && method == "grpc.health.v1.Health"
                && reason == "CERTIFICATE_REVOKED"
        }),
        "{recorded:?}"
    );
}

#[tokio::test]
async fn health_and_reflection_read_no_longer_messages_than_the_other_doors() {
    let stage = Stage::sandbox().await;
    let channel = Caller::party(&stage, "first-bank").channel;
    let long = "x".repeat(64 * 1_024);
    let asked = health(&channel, &long).await.unwrap_err();
    assert_eq!(asked.code(), Code::OutOfRange, "{asked:?}");
    let symbol = MessageRequest::FileContainingSymbol;
    let read = reflection(&channel, symbol("x".repeat(63 * 1_024))).await;
    assert_eq!(read.unwrap_err().code(), Code::NotFound);
    assert_eq!(reflection(&channel, symbol(long)).await.unwrap(), None);
}

#[tokio::test]
async fn headers_beyond_the_limit_are_not_read() {
    let spec = WorldSpec::default().limit("header_kib_max", 4);
    let stage = Stage::of(&spec).await;
    let caller = Caller::party(&stage, "first-bank");
    let token = caller.token(&stage, &caller.claims());
    let before = record::size(&stage);
    let asked = async |filled: usize| {
        let bearer = format!("Bearer {token}").parse().unwrap();
        let mut request = Request::new(question(&north(1)));
        request.metadata_mut().insert("authorization", bearer);
        let filler = "x".repeat(filled).parse().unwrap();
        request.metadata_mut().insert("x-filler", filler);
        let mut client = SignalServiceClient::new(caller.channel.clone());
        client.lookup(request).await
    };
    asked(2 * 1_024).await.unwrap();
    assert!(asked(4 * 1_024).await.is_err());
    assert_eq!(record::accesses(&record::since(&stage, before)).len(), 1);
}

#[tokio::test]
async fn streams_of_one_connection_beyond_the_limit_wait() {
    let spec = WorldSpec::default().limit("connection_streams_max", 2);
    let stage = Stage::of(&spec).await;
    let channel = Caller::party(&stage, "first-bank").channel;
    let other = Caller::party(&stage, "first-bank").channel;
    let watch = async || {
        let service = String::new();
        let mut health = HealthClient::new(channel.clone());
        let watched = health.watch(HealthCheckRequest { service }).await.unwrap();
        let mut watched = watched.into_inner();
        watched.message().await.unwrap().unwrap();
        watched
    };
    let open = [watch().await, watch().await];
    let mut third = Box::pin(health(&channel, ""));
    for _ in 0..20 {
        assert!(timeout(Duration::ZERO, third.as_mut()).await.is_err());
        health(&other, "").await.unwrap();
    }
    drop(open);
    third.await.unwrap();
}

#[tokio::test]
async fn the_admin_port_says_that_the_broker_is_ready_and_what_it_counted() {
    use accord_client::Lookup;
    use accord_proto::purpose::Purpose;

    use crate::said::ask;

    let stage = Stage::sandbox().await;
    ask(
        &stage.bank("first-bank"),
        Lookup::about(north(1), Purpose::Payment).sim_swap(),
    )
    .await;
    assert!(admin(&stage, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(admin(&stage, "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(admin(&stage, "/else").await.starts_with("HTTP/1.1 404"));
    let metrics = admin(&stage, "/metrics").await;
    assert!(
        metrics.contains("accord_questions_total{reason=\"answered\"} 1\n"),
        "{metrics}"
    );
    assert!(!metrics.contains("7700900"), "a number among the metrics");
}
