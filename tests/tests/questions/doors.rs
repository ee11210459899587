//! Health, readiness, metrics and reflection.

use accord_tests::world::World;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{caller::Caller, said::Stage};

/// What the admin port answers, headers and all.
pub(crate) async fn admin(world: &World, path: &str) -> String {
    let mut stream = TcpStream::connect(world.broker.admin_address())
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn health_and_reflection_answer_over_grpc() {
    let stage = Stage::sandbox().await;
    let channel = Caller::party(&stage, "first-bank").channel;
    let service = "accord.v1.SignalService".to_owned();
    let mut health = HealthClient::new(channel.clone());
    let checked = health
        .check(HealthCheckRequest { service })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(checked.status, ServingStatus::Serving as i32);

    let mut reflection = ServerReflectionClient::new(channel);
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let listed = reflection
        .server_reflection_info(tokio_stream::iter([list]))
        .await
        .unwrap();
    let response = listed.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(services)) = response.message_response else {
        panic!("{response:?}");
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
async fn the_admin_port_says_that_the_broker_is_ready_and_what_it_counted() {
    use accord_client::Lookup;
    use accord_proto::purpose::Purpose;

    use crate::said::{ask, north};

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
