//! One supplier of portability data, asked by DNS (ENUM, RFC 6116).
//!
//! A question goes over the network in clear, so a supplier belongs behind a private link; and the
//! name that is asked for is the number, so no error of the resolver is ever logged.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use accord_proto::{
    msisdn::Msisdn,
    naptr::{Naptr, ReplyError, Told, domain},
    party::OrgName,
};
use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolveHosts, ResolverConfig},
    lookup::Lookup,
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{RData, RecordType},
    },
};
use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant, timeout_at},
};

use super::{RoutingMetrics, table::as_number};
use crate::config::{Absent, SupplierNames, SupplierSection};

/// Servers are tried again once within a supplier's time.
const TRIES: u32 = 2;
/// How often an unreadable answer is complained about, at most.
const ALARM_SECONDS: i64 = 60;

/// Why a supplier can't be asked at all.
#[derive(Debug, thiserror::Error)]
#[error("enum.suppliers: `{name}`: the resolver can't be made: {source}")]
pub struct OpenError {
    name: String,
    source: NetError,
}

/// What one supplier says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SupplierSaid {
    /// An operator serves the number, `None` if that is nobody with a name here.
    Served(Option<OrgName>, Timestamp),
    /// It says that the number stayed with the operator of its range.
    NotPorted(Timestamp),
    /// It has no such number, and by contract that means the same.
    Silent(Timestamp),
    /// It has no such number, and by contract that says nothing.
    Absent,
    /// It did not answer, or not readably.
    Failed,
}

/// What an answer said, and until when that may be said again.
#[derive(Clone)]
struct Known {
    /// `None`: it has no such number.
    told: Option<Told>,
    at: Timestamp,
    until: Timestamp,
}

/// Why there is no answer, as it is counted.
enum Failure {
    Busy,
    Refused,
    ServFail,
    Timeout,
    Transport,
    Unreadable(ReplyError),
}

/// One supplier.
pub(super) struct Supplier {
    config: SupplierSection,
    names: SupplierNames,
    resolver: TokioResolver,
    cache: Cache<u64, Arc<Known>>,
    in_flight: Semaphore,
    complained_at: AtomicI64,
    counted: RoutingMetrics,
}

impl Supplier {
    pub(super) fn open(
        section: &SupplierSection,
        cache_entries: usize,
        counted: &RoutingMetrics,
    ) -> Result<Self, OpenError> {
        let servers = section.servers.iter().map(|address| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            server
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        let options = builder.options_mut();
        options.timeout = section.timeout() / TRIES;
        options.attempts = 1;
        options.use_hosts_file = ResolveHosts::Never;
        options.num_concurrent_reqs = section.servers.len();
        options.max_active_requests = section.in_flight_max as usize;
        // What is known is kept here, with the time at which it was said.
        options.cache_size = 0;
        let resolver = builder.build().map_err(|source| OpenError {
            name: section.name.clone(),
            source,
        })?;
        Ok(Self {
            names: section.names(),
            resolver,
            cache: Cache::new(cache_entries),
            in_flight: Semaphore::new(section.in_flight_max as usize),
            complained_at: AtomicI64::new(i64::MIN),
            counted: counted.clone(),
            config: section.clone(),
        })
    }

    pub(super) fn covers(&self, msisdn: &Msisdn) -> bool {
        let number = msisdn.expose();
        let mut covered = self.config.covers.iter();
        covered.any(|prefix| number.starts_with(prefix.as_str()))
    }

    /// Asks, unless it is known still. All of it ends within the supplier's time.
    pub(super) async fn ask(&self, msisdn: &Msisdn, now: Timestamp, by: Instant) -> SupplierSaid {
        let key = as_number(msisdn);
        if let Some(known) = self.cache.get(&key)
            && (known.at..known.until).contains(&now)
        {
            self.count("cached");
            return self.said(&known);
        }
        let by = by.min(Instant::now() + self.config.timeout());
        let asked = timeout_at(by, self.look_up(msisdn)).await;
        match asked.unwrap_or(Err(Failure::Timeout)) {
            Ok((told, ttl)) => {
                let known = Known {
                    told,
                    at: now,
                    until: now.checked_add(self.config.keep(ttl)).unwrap_or(now),
                };
                self.count(match known.told {
                    None => "absent",
                    Some(Told::NotPorted) => "not_ported",
                    Some(Told::Network { .. } | Told::RoutingNumber(_)) => "found",
                });
                let said = self.said(&known);
                self.cache.insert(key, Arc::new(known));
                said
            }
            Err(failure) => {
                self.count(failure.word());
                if let Failure::Unreadable(error) = failure {
                    self.complain(error, now);
                }
                SupplierSaid::Failed
            }
        }
    }

    fn said(&self, known: &Known) -> SupplierSaid {
        match &known.told {
            Some(Told::NotPorted) => SupplierSaid::NotPorted(known.at),
            Some(told) => SupplierSaid::Served(self.names.operator(told), known.at),
            None => match self.config.absent {
                Absent::NotPorted => SupplierSaid::Silent(known.at),
                Absent::Unknown => SupplierSaid::Absent,
            },
        }
    }

    async fn look_up(&self, msisdn: &Msisdn) -> Result<(Option<Told>, u32), Failure> {
        let _turn = self.in_flight.acquire().await.map_err(|_| Failure::Busy)?;
        let name = domain(msisdn, &self.config.zone);
        match self.resolver.lookup(name, RecordType::NAPTR).await {
            Ok(answer) => self.read(&answer, msisdn),
            Err(error) => match absent_for(&error) {
                Some(ttl) => Ok((None, ttl)),
                None => Err(Failure::of(&error)),
            },
        }
    }

    fn read(&self, answer: &Lookup, msisdn: &Msisdn) -> Result<(Option<Told>, u32), Failure> {
        let mut records = Vec::new();
        let mut ttl = u32::MAX;
        for record in answer.answers() {
            if let RData::NAPTR(naptr) = &record.data {
                ttl = ttl.min(record.ttl);
                records.push(Naptr {
                    order: naptr.order,
                    preference: naptr.preference,
                    flags: &naptr.flags,
                    services: &naptr.services,
                    regexp: &naptr.regexp,
                });
            }
        }
        let told = self.config.dialect.read(&records, msisdn);
        match told {
            Ok(told) => Ok((Some(told), ttl)),
            // Readable, and it says that it failed.
            Err(ReplyError::Supplier) => Err(Failure::ServFail),
            Err(error) => Err(Failure::Unreadable(error)),
        }
    }

    /// An answer that is not in the dialect means that the contract changed, or that somebody else
    /// answers: a person must look.
    fn complain(&self, error: ReplyError, now: Timestamp) {
        let seconds = now.as_second();
        let last = self.complained_at.load(Ordering::Relaxed);
        if seconds.saturating_sub(last) < ALARM_SECONDS {
            return;
        }
        self.complained_at.store(seconds, Ordering::Relaxed);
        let supplier = self.config.name.as_str();
        tracing::error!(supplier, %error, "answers of a supplier of portability data are unreadable");
    }

    fn count(&self, outcome: &'static str) {
        self.counted.looked_up(&self.config.name, outcome);
    }
}

impl std::fmt::Debug for Supplier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supplier")
            .field("name", &self.config.name)
            .finish_non_exhaustive()
    }
}

/// Whether there is no such number, by the zone's own word; and for how long it says so.
fn absent_for(error: &NetError) -> Option<u32> {
    let NetError::Dns(DnsError::NoRecordsFound(none)) = error else {
        return None;
    };
    let absent = none.response_code == ResponseCode::NXDomain
        // Without the zone's own word it would be a referral to somebody else.
        || (none.response_code == ResponseCode::NoError && none.soa.is_some());
    absent.then(|| none.negative_ttl.unwrap_or(0))
}

impl Failure {
    /// Errors of the resolver name what was asked for, so none of their words is kept.
    fn of(error: &NetError) -> Self {
        let code =
            |code| matches!(error, NetError::Dns(DnsError::ResponseCode(said)) if *said == code);
        if code(ResponseCode::ServFail) {
            Self::ServFail
        } else if matches!(error, NetError::Dns(_)) {
            Self::Refused
        } else if matches!(error, NetError::Timeout) {
            Self::Timeout
        } else if matches!(error, NetError::Busy) {
            Self::Busy
        } else {
            Self::Transport
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::ServFail => "servfail",
            Self::Timeout => "timeout",
            Self::Transport => "transport",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl SupplierSection {
    /// For how long an answer may take, all tries together.
    fn timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.timeout_ms))
    }

    /// For how long an answer is kept.
    fn keep(&self, ttl: u32) -> SignedDuration {
        let (least, most) = (self.ttl_seconds_min, self.ttl_seconds_max);
        SignedDuration::from_secs(i64::from(ttl.clamp(least, most)))
    }
}
