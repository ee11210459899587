//! The gRPC server, with every limit set.

use std::sync::Arc;

use accord_proto::v1::{
    self, adapter_service_server::AdapterServiceServer,
    agreement_service_server::AgreementServiceServer, audit_service_server::AuditServiceServer,
    signal_service_server::SignalServiceServer, subject_service_server::SubjectServiceServer,
};
use accord_proto::wire::CHANGES_BYTES_MAX;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Duration, sleep},
};
use tonic::{server::NamedService as _, transport::Server};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_reflection::server::Error as ReflectionError;

use super::assemble::House;
use crate::{
    doors::{
        ACT_MESSAGE_BYTES_MAX, AdapterDoor, AdapterParts, AgreementDoor, AgreementParts, AuditDoor,
        AuditParts, CamaraDoor, CamaraParts, Guard, SignalDoor, SubjectDoor, SubjectParts, Tails,
        TilesDoor, TilesParts, UnreadLayer,
    },
    identity::{Connections, Incoming, RefusedConnection, Speaks},
    ledger::Ledger,
    path::{Parts, Path, PathLimits, Rates},
};

/// What a stream may send that the broker has not read.
const STREAM_WINDOW_BYTES: u32 = 128 * 1_024;
/// The same of a connection. h2 closes a connection whose unread frames cost more to keep than half
/// of this, at 256 bytes less their length each. The shortest line of a screening takes 26 bytes,
/// so with twenty times its window no stream that waits for the broker to read on gets there.
const CONNECTION_WINDOW_BYTES: u32 = 20 * STREAM_WINDOW_BYTES;

impl House {
    /// The gRPC server, with every limit set.
    pub(super) fn serve(
        &self,
        listener: TcpListener,
        path: Path,
        connections: Arc<Connections>,
        stopping: watch::Receiver<bool>,
    ) -> Result<impl Future<Output = Result<(), tonic::transport::Error>> + use<>, ReflectionError>
    {
        let limits = self.config.limits;
        let accept = limits.accept();
        let refusals = Arc::clone(&self.refusals);
        let refused = move |refused: RefusedConnection| refusals.not_connected(refused);
        let incoming = Incoming::listen(
            listener,
            Speaks::Grpc,
            Arc::clone(&self.trust),
            connections,
            accept,
            refused,
        );
        let message_max = limits.message_kib_max as usize * 1_024;
        let signals = SignalDoor::new(path, limits.screen_in_flight_max, stopping.clone());
        let agreement = self.agreement_door();
        let ledger = Arc::clone(&self.ledger);
        let guard = self.guard();
        let (health, health_service) = tonic_health::server::health_reporter();
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let router = Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(20)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .max_concurrent_streams(limits.connection_streams_max)
            .http2_max_header_list_size(limits.header_kib_max * 1_024)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .layer(UnreadLayer::new(Arc::clone(&self.refusals)))
            .add_service(SignalServiceServer::new(signals).max_decoding_message_size(message_max))
            .add_service(
                AdapterServiceServer::new(self.adapter_door())
                    .max_decoding_message_size(message_max.max(CHANGES_BYTES_MAX)),
            )
            .add_service(
                AuditServiceServer::new(self.audit_door()).max_decoding_message_size(message_max),
            )
            .add_service(
                AgreementServiceServer::new(agreement)
                    .max_decoding_message_size(message_max.max(ACT_MESSAGE_BYTES_MAX)),
            )
            .add_service(
                SubjectServiceServer::new(self.subject_door())
                    .max_decoding_message_size(message_max),
            )
            .add_service(guard.before(health_service.max_decoding_message_size(message_max)))
            .add_service(guard.before(reflection.max_decoding_message_size(message_max)));
        Ok(async move {
            tell(&health, ledger.is_ready()).await;
            let stop = until_stopped(health, ledger, stopping);
            router.serve_with_incoming_shutdown(incoming, stop).await
        })
    }

    /// The CAMARA door into the same path.
    pub(super) fn camara_door(&self, path: &Path) -> Option<CamaraDoor> {
        let limits = self.config.limits;
        let section = self.config.camara.clone()?;
        let parts = CamaraParts {
            path: path.clone(),
            oauth: self.oauth_end(&section)?,
            section,
        };
        Some(CamaraDoor::new(
            parts,
            limits.accept(),
            limits.header_kib_max as usize * 1_024,
            limits.connection_streams_max,
        ))
    }

    /// The path, which all doors share with its limits.
    pub(super) fn path(&self) -> Path {
        let limits = self.config.limits;
        Path::new(Parts {
            trust: Arc::clone(&self.trust),
            tokens: Arc::clone(&self.tokens),
            governance: Arc::clone(&self.governance),
            routing: Arc::clone(&self.routing),
            links: Arc::clone(&self.links),
            views: Arc::clone(&self.views),
            ledger: Arc::clone(&self.ledger),
            refusals: Arc::clone(&self.refusals),
            replays: Arc::clone(&self.replays),
            subjects: Arc::clone(&self.subjects),
            tag_keys: Arc::clone(&self.tag_keys),
            rates: Rates::new(limits.bank_per_second),
            clock: Arc::clone(&self.clock),
            limits: PathLimits {
                operator_deadline: limits.operator_deadline(),
                release_margin: Duration::from_millis(u64::from(limits.release_margin_ms)),
            },
            watch: self.watch.clone(),
            metrics: Arc::clone(&self.metrics),
            permits: Arc::clone(&self.permits),
        })
    }

    fn adapter_door(&self) -> AdapterDoor {
        AdapterDoor::new(AdapterParts {
            trust: Arc::clone(&self.trust),
            governance: Arc::clone(&self.governance),
            routing: Arc::clone(&self.routing),
            links: Arc::clone(&self.links),
            views: Arc::clone(&self.views),
            ledger: Arc::clone(&self.ledger),
            refusals: Arc::clone(&self.refusals),
            metrics: Arc::clone(&self.metrics),
            tag_keys: Arc::clone(&self.tag_keys),
            clock: Arc::clone(&self.clock),
        })
    }

    fn agreement_door(&self) -> AgreementDoor {
        AgreementDoor::new(AgreementParts {
            trust: Arc::clone(&self.trust),
            governance: Arc::clone(&self.governance),
            life: Arc::clone(&self.life),
            ledger: Arc::clone(&self.ledger),
            refusals: Arc::clone(&self.refusals),
            rates: Rates::new(self.config.limits.audit_per_second),
            clock: Arc::clone(&self.clock),
        })
    }

    /// Who stands before the library's own doors.
    fn guard(&self) -> Guard {
        Guard::new(
            Arc::clone(&self.trust),
            Arc::clone(&self.refusals),
            Arc::clone(&self.clock),
        )
    }

    /// The door to the logs over HTTPS.
    pub(super) fn tiles_door(&self) -> TilesDoor {
        let limits = self.config.limits;
        let parts = TilesParts {
            trust: Arc::clone(&self.trust),
            governance: Arc::clone(&self.governance),
            ledger: Arc::clone(&self.ledger),
            refusals: Arc::clone(&self.refusals),
            rates: Rates::new(limits.tiles_per_second),
            witnessed: self.witnesses.is_some(),
            clock: Arc::clone(&self.clock),
        };
        let header_bytes_max = limits.header_kib_max as usize * 1_024;
        TilesDoor::new(parts, limits.accept(), header_bytes_max)
    }

    fn subject_door(&self) -> SubjectDoor {
        SubjectDoor::new(SubjectParts {
            trust: Arc::clone(&self.trust),
            governance: Arc::clone(&self.governance),
            routing: Arc::clone(&self.routing),
            links: Arc::clone(&self.links),
            ledger: Arc::clone(&self.ledger),
            refusals: Arc::clone(&self.refusals),
            tag_keys: Arc::clone(&self.tag_keys),
            closed: Arc::clone(&self.closed),
            rates: Rates::new(self.config.limits.audit_per_second),
            operator_deadline: self.config.limits.operator_deadline(),
            witnessed: self.witnesses.is_some(),
            clock: Arc::clone(&self.clock),
        })
    }

    fn audit_door(&self) -> AuditDoor {
        AuditDoor::new(AuditParts {
            trust: Arc::clone(&self.trust),
            governance: Arc::clone(&self.governance),
            ledger: Arc::clone(&self.ledger),
            index: Arc::clone(&self.index),
            tag_keys: Arc::clone(&self.tag_keys),
            refusals: Arc::clone(&self.refusals),
            rates: Rates::new(self.config.limits.audit_per_second),
            tails: Tails::default(),
            witnessed: self.witnesses.is_some(),
            clock: Arc::clone(&self.clock),
        })
    }
}

/// How often the health that is told is compared with what it is.
const HEALTH_INTERVAL: Duration = Duration::from_millis(500);

/// Tells clients that ask for health whether questions are answered, until the broker stops.
async fn until_stopped(
    health: HealthReporter,
    ledger: Arc<Ledger>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut told = None;
    loop {
        let ready = ledger.is_ready();
        // Told only when it changes: each telling wakes whoever watches.
        if told.replace(ready) != Some(ready) {
            tell(&health, ready).await;
        }
        tokio::select! {
            // An error means that the broker itself is gone: then serving ends as well.
            _ = stopping.wait_for(|stop| *stop) => break,
            () = sleep(HEALTH_INTERVAL) => {}
        }
    }
    tell(&health, false).await;
}

/// Of the banks' door, and of the broker as a whole, which the health protocol names "".
async fn tell(health: &HealthReporter, serving: bool) {
    let status = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for service in [SignalServiceServer::<SignalDoor>::NAME, ""] {
        health.set_service_status(service, status).await;
    }
}
