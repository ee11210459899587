//! The operations of CAMARA APIs that the door offers.

use crate::signal::{Question, Signal};

/// The longest `maxAge`, hours (sim-swap and device-swap: `maximum: 2400`). An agreement may offer
/// longer windows, which only the gRPC door can ask.
pub const MAX_AGE_HOURS_MAX: u32 = 2_400;

/// One operation of a CAMARA API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// sim-swap `POST /check`.
    SimSwapCheck,
    /// sim-swap `POST /retrieve-date`.
    SimSwapRetrieveDate,
    /// sim-swap `POST /retrieve-age-band`, which CAMARA merged and took out again before a release.
    SimSwapRetrieveAgeBand,
    /// device-swap `POST /check`.
    DeviceSwapCheck,
    /// device-swap `POST /retrieve-date`.
    DeviceSwapRetrieveDate,
    /// call-forwarding-signal `POST /unconditional-call-forwardings` (0.4) and
    /// `POST /check-unconditional-forwarding` (0.5).
    ForwardingUnconditional,
    /// call-forwarding-signal `POST /call-forwardings` (0.4) and `POST /retrieve-forwardings` (0.5).
    ForwardingAll,
    /// device-roaming-status `POST /retrieve`.
    RoamingRetrieve,
    /// number-recycling `POST /check`.
    RecyclingCheck,
    /// kyc-tenure `POST /check-tenure`.
    TenureCheck,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::SimSwapCheck,
        Self::SimSwapRetrieveDate,
        Self::SimSwapRetrieveAgeBand,
        Self::DeviceSwapCheck,
        Self::DeviceSwapRetrieveDate,
        Self::ForwardingUnconditional,
        Self::ForwardingAll,
        Self::RoamingRetrieve,
        Self::RecyclingCheck,
        Self::TenureCheck,
    ];

    /// The signal that it asks.
    #[must_use]
    pub const fn signal(self) -> Signal {
        match self {
            Self::SimSwapCheck | Self::SimSwapRetrieveDate | Self::SimSwapRetrieveAgeBand => {
                Signal::SimSwap
            }
            Self::DeviceSwapCheck | Self::DeviceSwapRetrieveDate => Signal::DeviceSwap,
            Self::ForwardingUnconditional | Self::ForwardingAll => Signal::CallForwarding,
            Self::RoamingRetrieve => Signal::Roaming,
            Self::RecyclingCheck => Signal::NumberRecycling,
            Self::TenureCheck => Signal::Tenure,
        }
    }

    /// The operations any of which asks as much as a question does: a question without a threshold may
    /// be answered with the date itself, which a scope for `check` or for bands is not for.
    #[must_use]
    pub const fn as_much_as(question: &Question) -> &'static [Self] {
        match question {
            Question::SimSwap {
                threshold_hours: Some(_),
            } => &[Self::SimSwapCheck, Self::SimSwapRetrieveDate],
            Question::SimSwap {
                threshold_hours: None,
            } => &[Self::SimSwapRetrieveDate],
            Question::DeviceSwap {
                threshold_hours: Some(_),
            } => &[Self::DeviceSwapCheck, Self::DeviceSwapRetrieveDate],
            Question::DeviceSwap {
                threshold_hours: None,
            } => &[Self::DeviceSwapRetrieveDate],
            Question::CallForwarding => &[Self::ForwardingAll],
            Question::Roaming => &[Self::RoamingRetrieve],
            Question::NumberRecycling { .. } => &[Self::RecyclingCheck],
            Question::Tenure { .. } => &[Self::TenureCheck],
            Question::SignallingAnomaly { .. } => &[],
        }
    }

    /// The scopes any one of which lets it be called: upstream's `security` is an *or*. Where two
    /// versions of an API are offered, the scopes of both.
    #[must_use]
    pub const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::SimSwapCheck => &["sim-swap", "sim-swap:check"],
            Self::SimSwapRetrieveDate => &["sim-swap", "sim-swap:retrieve-date"],
            Self::SimSwapRetrieveAgeBand => &["sim-swap", "sim-swap:retrieve-age-band"],
            Self::DeviceSwapCheck => &["device-swap", "device-swap:check"],
            Self::DeviceSwapRetrieveDate => &["device-swap", "device-swap:retrieve-date"],
            Self::ForwardingUnconditional => &[
                "call-forwarding-signal:unconditional-call-forwardings:read",
                "call-forwarding-signal:unconditional-forwarding:check",
            ],
            Self::ForwardingAll => &[
                "call-forwarding-signal:call-forwardings:read",
                "call-forwarding-signal:forwardings:retrieve",
            ],
            Self::RoamingRetrieve => &["device-roaming-status:read"],
            Self::RecyclingCheck => &["number-recycling:check"],
            Self::TenureCheck => &["kyc-tenure:check-tenure"],
        }
    }
}
