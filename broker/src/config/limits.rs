//! Limits, each named with its unit.

use std::{num::NonZeroU32, time::Duration};

use serde::Deserialize;

use super::bounds::{self, Bound};
use crate::identity::{AcceptLimits, Certificates, ConnectionLimits};

/// Limits, each with its unit.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Questions a second for each bank, the same for all (rule R22).
    pub bank_per_second: NonZeroU32,
    /// Audit calls a second for each party.
    pub audit_per_second: NonZeroU32,
    /// Requests a second of each party for checkpoints, tiles and entry bundles.
    pub tiles_per_second: NonZeroU32,
    /// Refusals of one party on the record each second; more are counted.
    pub refusals_per_second: NonZeroU32,
    /// Questions in flight, of all banks.
    pub questions_in_flight_max: u32,
    /// Unanswered lines of one screening.
    pub screen_in_flight_max: u32,
    /// For how long an operator may take.
    pub operator_deadline_ms: u32,
    /// What the caller's deadline leaves for recording and sending.
    pub release_margin_ms: u32,
    /// Subjects with live quotas or thresholds.
    pub subjects_max: u32,
    /// Open connections.
    pub connections_max: u32,
    /// Open connections of one party.
    pub party_connections_max: u32,
    /// Open connections without a certificate from one address (in IPv6 from one /48). All of them
    /// together are at most those of one party.
    pub address_connections_max: u32,
    /// Handshakes in flight at each door; a network that has an eighth of them gives way to others.
    pub handshakes_max: u32,
    /// For how long a handshake may take.
    pub handshake_deadline_ms: u32,
    /// Streams of one connection.
    pub connection_streams_max: u32,
    /// Headers of one call.
    pub header_kib_max: u32,
    /// One message. Whatever it is, an adapter's full batch of changes is read, and an act.
    pub message_kib_max: u32,
    /// For how long the broker drains before it goes.
    pub drain_seconds_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bank_per_second: NonZeroU32::new(2_000).unwrap_or(NonZeroU32::MIN),
            audit_per_second: NonZeroU32::new(50).unwrap_or(NonZeroU32::MIN),
            tiles_per_second: NonZeroU32::new(2_000).unwrap_or(NonZeroU32::MIN),
            refusals_per_second: NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN),
            questions_in_flight_max: 4_096,
            screen_in_flight_max: 256,
            operator_deadline_ms: 800,
            release_margin_ms: 50,
            subjects_max: 8_000_000,
            connections_max: 1_024,
            party_connections_max: 256,
            address_connections_max: 32,
            handshakes_max: 64,
            handshake_deadline_ms: 5_000,
            connection_streams_max: 1_024,
            header_kib_max: 16,
            message_kib_max: 64,
            drain_seconds_max: 20,
        }
    }
}

impl Limits {
    /// For how long an operator may take.
    #[must_use]
    pub fn operator_deadline(&self) -> Duration {
        Duration::from_millis(u64::from(self.operator_deadline_ms))
    }

    /// The limits of a listener.
    #[must_use]
    pub fn accept(&self) -> AcceptLimits {
        AcceptLimits {
            connections_max: self.connections_max as usize,
            handshakes_max: self.handshakes_max as usize,
            handshake_deadline: Duration::from_millis(u64::from(self.handshake_deadline_ms)),
            certificates: Certificates::Required,
        }
    }

    /// How many connections there may be at a time.
    #[must_use]
    pub const fn open(&self) -> ConnectionLimits {
        ConnectionLimits {
            per_party_max: self.party_connections_max as usize,
            per_address_max: self.address_connections_max as usize,
        }
    }

    /// For how long the broker drains.
    #[must_use]
    pub fn drain_max(&self) -> Duration {
        Duration::from_secs(u64::from(self.drain_seconds_max))
    }

    /// Each within its bounds.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        bounds::check(self.questions().into_iter().chain(self.connections()))
    }

    /// The limits of questions.
    const fn questions(&self) -> [Bound<u32>; 10] {
        [
            (
                "limits.bank_per_second",
                self.bank_per_second.get(),
                1,
                1_000_000,
            ),
            (
                "limits.audit_per_second",
                self.audit_per_second.get(),
                1,
                1_000_000,
            ),
            (
                "limits.tiles_per_second",
                self.tiles_per_second.get(),
                1,
                1_000_000,
            ),
            (
                "limits.refusals_per_second",
                self.refusals_per_second.get(),
                1,
                1_000_000,
            ),
            // A quarter of them is left to single questions.
            (
                "limits.questions_in_flight_max",
                self.questions_in_flight_max,
                4,
                1_000_000,
            ),
            (
                "limits.screen_in_flight_max",
                self.screen_in_flight_max,
                1,
                65_536,
            ),
            (
                "limits.operator_deadline_ms",
                self.operator_deadline_ms,
                1,
                60_000,
            ),
            (
                "limits.release_margin_ms",
                self.release_margin_ms,
                0,
                10_000,
            ),
            ("limits.subjects_max", self.subjects_max, 1, 1_000_000_000),
            ("limits.drain_seconds_max", self.drain_seconds_max, 0, 3_600),
        ]
    }

    /// The limits of connections.
    const fn connections(&self) -> [Bound<u32>; 8] {
        [
            ("limits.connections_max", self.connections_max, 1, 1_000_000),
            (
                "limits.party_connections_max",
                self.party_connections_max,
                1,
                1_000_000,
            ),
            (
                "limits.address_connections_max",
                self.address_connections_max,
                1,
                1_000_000,
            ),
            ("limits.handshakes_max", self.handshakes_max, 1, 65_536),
            (
                "limits.handshake_deadline_ms",
                self.handshake_deadline_ms,
                1,
                60_000,
            ),
            (
                "limits.connection_streams_max",
                self.connection_streams_max,
                1,
                1_000_000,
            ),
            ("limits.header_kib_max", self.header_kib_max, 1, 1_024),
            ("limits.message_kib_max", self.message_kib_max, 1, 16_384),
        ]
    }
}
