//! The questions of Sh (3GPP TS 29.328 and 29.329) and what their answers amount to.

use accord_proto::{msisdn::Msisdn, reason::Reason};
use tokio::time::Instant;

use super::avp;
use super::codec::{Avps, CodecError, Encoder};
use super::node::Message;
use super::peer::RequestError;
use super::peers::Peers;
use super::sh_data::{ShData, ShDataError};
use super::tbcd;

/// The longest document that an answer may carry.
const USER_DATA_BYTES_MAX: usize = super::xml::BYTES_MAX;
/// Current-Location: what is known, without paging the subscriber's phone (TS 29.329 6.3.8).
const DO_NOT_PAGE: u32 = 0;
const SUBSCRIBE: u32 = 0;

/// What can be asked (Data-Reference, TS 29.329 section 6.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// Data of a service, opaque to the HSS.
    RepositoryData,
    /// Where the subscriber is served.
    LocationInformation,
    /// The IMSI.
    Imsi,
    /// The IMEI with the phone's software version.
    Imeisv,
}

impl Reference {
    const fn number(self) -> u32 {
        match self {
            Self::RepositoryData => 0,
            Self::LocationInformation => 14,
            Self::Imsi => 32,
            Self::Imeisv => 34,
        }
    }
}

/// The domain of a location (Requested-Domain, TS 29.329 section 6.3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// Circuit switched.
    Cs,
    /// Packet switched.
    Ps,
}

/// A node of the packet domain (Requested-Nodes, TS 29.329 section 6.3.7A).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PacketNode {
    /// Of LTE.
    Mme,
    /// Of GPRS.
    Sgsn,
}

/// Whom requests go to, and what the server wants in them.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) destination_realm: String,
    pub(super) destination_host: Option<String>,
    pub(super) service_indications: Vec<String>,
    pub(super) packet_nodes: Vec<PacketNode>,
    /// Whether a document in AVP 606 is taken for one in 702.
    pub(super) tolerate_606: bool,
}

/// One User-Data-Request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) references: Vec<Reference>,
    /// For a location.
    pub(super) domain: Option<Domain>,
}

/// Why there are no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShError {
    /// The server has no such subscriber.
    #[error("the server has no such subscriber")]
    UserUnknown,
    /// This application server may not read this (the HSS's list of permissions), or the data
    /// can't be read in this way.
    #[error("the server does not let us read this (result {0}); see its list of permissions")]
    NotAllowed(u32),
    /// Not at this moment.
    #[error("the server can't tell at this moment")]
    NotNow,
    /// The server, or a relay before it, is at its limit.
    #[error("the server is too busy")]
    Busy,
    /// Any other result.
    #[error("the server answered with result {0}")]
    Refused(u32),
    /// An answer that is not what the specification says.
    #[error("the answer is not usable: {0}")]
    Answer(#[from] CodecError),
    /// An answer with another session than the question's.
    #[error("the answer is to another session")]
    Session,
    /// The document stands in the AVP of Cx.
    #[error("the document stands in AVP 606 (Cx) instead of 702 (Sh); see `tolerate_606`")]
    WrongUserData,
    /// The document.
    #[error(transparent)]
    Data(#[from] ShDataError),
    /// The question did not get there and back.
    #[error(transparent)]
    Request(RequestError),
}

impl ShError {
    /// What the bank is told.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::UserUnknown => Reason::UnknownNumber,
            Self::NotAllowed(_) => Reason::NotAvailable,
            Self::Busy | Self::Request(RequestError::Full) => Reason::Overloaded,
            Self::Request(RequestError::Timeout) => Reason::Timeout,
            Self::Answer(_)
            | Self::Data(_)
            | Self::NotNow
            | Self::Refused(_)
            | Self::Request(RequestError::Codec(_) | RequestError::Lost | RequestError::NotOpen)
            | Self::Session
            | Self::WrongUserData => Reason::SourceDown,
        }
    }

    /// Whether nothing more can be asked now: about any number, not only this one.
    #[must_use]
    pub const fn is_of_the_link(self) -> bool {
        matches!(
            self,
            Self::Request(RequestError::Full | RequestError::Lost | RequestError::NotOpen)
        )
    }

    /// Whether more questions would make it worse.
    #[must_use]
    pub const fn is_a_burden(self) -> bool {
        matches!(self, Self::Busy | Self::Request(_))
    }

    /// Whether it may be the server's failure, rather than what it says of the number: its own, or
    /// that of one of several behind a relay.
    #[must_use]
    pub const fn is_of_the_server(self) -> bool {
        match self {
            Self::Busy | Self::Request(_) => true,
            Self::Refused(result) => result < 4_000,
            Self::Answer(_)
            | Self::Data(_)
            | Self::NotAllowed(_)
            | Self::NotNow
            | Self::Session
            | Self::UserUnknown
            | Self::WrongUserData => false,
        }
    }
}

/// Asks about a number. `None`: the server knows it and has none of these data.
pub(super) async fn pull(
    peers: &Peers,
    manner: &Manner,
    msisdn: &Msisdn,
    question: &Question,
    deadline: Instant,
) -> Result<Option<ShData>, ShError> {
    let session = peers.session();
    let avps = user_data_request(peers, manner, msisdn, question, &session)?;
    let answer = peers.ask(avp::USER_DATA_COMMAND, &avps, deadline).await;
    read(&answer.map_err(ShError::Request)?, manner, msisdn, &session)
}

/// Asks to be notified of changes of a number's data.
pub(super) async fn subscribe(
    peers: &Peers,
    manner: &Manner,
    msisdn: &Msisdn,
    references: &[Reference],
    deadline: Instant,
) -> Result<(), ShError> {
    let session = peers.session();
    let question = Question {
        references: references.to_vec(),
        domain: None,
    };
    let mut avps = user_data_request(peers, manner, msisdn, &question, &session)?;
    avps.u32(avp::SUBS_REQ_TYPE, SUBSCRIBE)?;
    let asked = peers
        .ask(avp::SUBSCRIBE_NOTIFICATIONS, &avps, deadline)
        .await;
    let answer = asked.map_err(ShError::Request)?;
    same_session(&answer.avps, &session)?;
    succeeded(&answer.avps)
}

fn user_data_request(
    peers: &Peers,
    manner: &Manner,
    msisdn: &Msisdn,
    question: &Question,
    session: &str,
) -> Result<Encoder, CodecError> {
    let mut identity = Encoder::default();
    let number = tbcd::encode(msisdn.expose_digits()).ok_or(CodecError::Data)?;
    identity.octets(avp::MSISDN, &number)?;
    let mut avps = peers.node().begin_sh(session)?;
    if let Some(host) = &manner.destination_host {
        avps.octets(avp::DESTINATION_HOST, host.as_bytes())?;
    }
    avps.octets(avp::DESTINATION_REALM, manner.destination_realm.as_bytes())?
        .group(avp::USER_IDENTITY, &identity)?;
    if question.references.contains(&Reference::RepositoryData) {
        for indication in &manner.service_indications {
            avps.octets(avp::SERVICE_INDICATION, indication.as_bytes())?;
        }
    }
    for reference in &question.references {
        avps.u32(avp::DATA_REFERENCE, reference.number())?;
    }
    if let Some(domain) = question.domain {
        let number = match domain {
            Domain::Cs => 0,
            Domain::Ps => 1,
        };
        avps.u32(avp::REQUESTED_DOMAIN, number)?
            .u32(avp::CURRENT_LOCATION, DO_NOT_PAGE)?;
        if domain == Domain::Ps && !manner.packet_nodes.is_empty() {
            let bits = manner.packet_nodes.iter().fold(0, |bits, node| match node {
                PacketNode::Mme => bits | 1,
                PacketNode::Sgsn => bits | 2,
            });
            avps.u32(avp::REQUESTED_NODES, bits)?;
        }
    }
    Ok(avps)
}

/// Reads a User-Data-Answer, each AVP by its code: relays add some, and order means nothing.
fn read(
    answer: &Message,
    manner: &Manner,
    msisdn: &Msisdn,
    session: &str,
) -> Result<Option<ShData>, ShError> {
    let avps = &answer.avps;
    same_session(avps, session)?;
    succeeded(avps)?;
    let document = match (avps.one(avp::USER_DATA)?, avps.one(avp::USER_DATA_CX)?) {
        (Some(document), _) => document,
        (None, Some(document)) if manner.tolerate_606 => document,
        (None, Some(_)) => return Err(ShError::WrongUserData),
        (None, None) => return Ok(None),
    };
    if document.data().len() > USER_DATA_BYTES_MAX {
        return Err(CodecError::TooLong.into());
    }
    Ok(Some(ShData::parse(document.data(), msisdn)?))
}

/// An answer that a relay made itself may lack the session; one of another is somebody else's.
fn same_session(avps: &Avps, session: &str) -> Result<(), ShError> {
    match avps.one(avp::SESSION_ID)? {
        Some(avp) if avp.text()? != session => Err(ShError::Session),
        Some(_) | None => Ok(()),
    }
}

fn succeeded(avps: &Avps) -> Result<(), ShError> {
    let (vendor, result) = match avps.one(avp::EXPERIMENTAL_RESULT)? {
        Some(group) => {
            let group = group.group()?;
            let vendor = group.required(avp::VENDOR_ID)?.u32()?;
            (
                vendor,
                group.required(avp::EXPERIMENTAL_RESULT_CODE)?.u32()?,
            )
        }
        None => (0, avps.required(avp::RESULT_CODE)?.u32()?),
    };
    Err(match (vendor, result) {
        // Every vendor's 2xxx is a success of some kind, but only this one is of this question.
        (0 | avp::VENDOR_3GPP, avp::SUCCESS) => return Ok(()),
        (0, avp::TOO_BUSY) => ShError::Busy,
        (avp::VENDOR_3GPP, avp::USER_UNKNOWN_3GPP) => ShError::UserUnknown,
        (avp::VENDOR_3GPP, avp::USER_DATA_NOT_AVAILABLE) => ShError::NotNow,
        (avp::VENDOR_3GPP, avp::OPERATION_NOT_ALLOWED | avp::USER_DATA_CANNOT_BE_READ) => {
            ShError::NotAllowed(result)
        }
        (_, result) => ShError::Refused(result),
    })
}

/// Which number a notification is about; `None` if it is none that is named by a number.
#[must_use]
pub fn notified(message: &Message) -> Option<Msisdn> {
    let identity = message.avps.one(avp::USER_IDENTITY).ok()??.group().ok()?;
    let digits = match identity.one(avp::MSISDN).ok()? {
        Some(number) => tbcd::decode(number.data())?,
        None => {
            let uri = identity.one(avp::PUBLIC_IDENTITY).ok()??.text().ok()?;
            let user = uri
                .strip_prefix("tel:")
                .or_else(|| uri.strip_prefix("sip:"))?;
            let user = user.split(['@', ';']).next()?;
            user.strip_prefix('+')?.to_owned()
        }
    };
    Msisdn::parse(&format!("+{digits}")).ok()
}

#[cfg(test)]
mod tests;
