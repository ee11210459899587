//! This end of Diameter: who it says it is, and the messages of the base protocol that it sends
//! (RFC 6733 section 5).

use std::net::IpAddr;

use bytes::Bytes;

use super::avp;
use super::codec::{Avps, CodecError, Encoder, FLAG_ERROR, FLAG_PROXIABLE, FLAG_REQUEST, Header};

const PRODUCT: &[u8] = b"Accord";
/// Disconnect-Cause REBOOTING: the adapter stops and may come again.
const REBOOTING: u32 = 0;
/// NO_STATE_MAINTAINED.
const NO_STATE: u32 = 1;
/// The family number of IPv4 and IPv6 in an `Address` (RFC 6733 section 4.3.1).
const FAMILY_V4: [u8; 2] = [0, 1];
const FAMILY_V6: [u8; 2] = [0, 2];

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its header.
    pub header: Header,
    /// Its AVPs.
    pub avps: Avps,
}

/// Who this end is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Origin-Host: the DiameterIdentity under which the server knows it.
    pub host: String,
    /// Origin-Realm.
    pub realm: String,
}

/// What came of the exchange of capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capable {
    /// The peer serves or relays Sh.
    Yes,
    /// It does not.
    NoSh,
    /// It refused, with this result.
    Refused(u32),
    /// Its name is another than the configured one.
    OtherHost,
}

impl Node {
    /// Capabilities-Exchange-Request.
    ///
    /// # Errors
    /// [`CodecError::TooLong`].
    pub fn capabilities(&self, local: IpAddr, hop_by_hop: u32) -> Result<Bytes, CodecError> {
        let mut avps = self.origin()?;
        let address = match local.to_canonical() {
            IpAddr::V4(ip) => [&FAMILY_V4[..], &ip.octets()].concat(),
            IpAddr::V6(ip) => [&FAMILY_V6[..], &ip.octets()].concat(),
        };
        avps.octets(avp::HOST_IP_ADDRESS, &address)?
            // No vendor of its own: 0 is what RFC 6733 section 5.3.3 leaves to such.
            .u32(avp::VENDOR_ID, 0)?
            .octets(avp::PRODUCT_NAME, PRODUCT)?
            .u32(avp::SUPPORTED_VENDOR_ID, avp::VENDOR_3GPP)?
            .group(avp::VENDOR_SPECIFIC_APPLICATION_ID, &application()?)?;
        request(avp::CAPABILITIES_EXCHANGE, hop_by_hop).encode(&avps.bytes())
    }

    /// Judges a Capabilities-Exchange-Answer.
    ///
    /// # Errors
    /// [`CodecError`] where it lacks what it must have.
    pub fn judge(&self, answer: &Avps, expected: Option<&str>) -> Result<Capable, CodecError> {
        let result = answer.required(avp::RESULT_CODE)?.u32()?;
        if result != avp::SUCCESS {
            return Ok(Capable::Refused(result));
        }
        let host = answer.required(avp::ORIGIN_HOST)?.text()?;
        if expected.is_some_and(|expected| !expected.eq_ignore_ascii_case(host)) {
            return Ok(Capable::OtherHost);
        }
        let mut applications = Vec::new();
        for avp in answer.all(avp::AUTH_APPLICATION_ID) {
            applications.push(avp.u32()?);
        }
        for group in answer.all(avp::VENDOR_SPECIFIC_APPLICATION_ID) {
            if let Some(avp) = group.group()?.one(avp::AUTH_APPLICATION_ID)? {
                applications.push(avp.u32()?);
            }
        }
        let ours = [avp::APPLICATION_SH, avp::APPLICATION_RELAY];
        let common = applications
            .iter()
            .any(|application| ours.contains(application));
        Ok(if common { Capable::Yes } else { Capable::NoSh })
    }

    /// Device-Watchdog-Request.
    ///
    /// # Errors
    /// [`CodecError::TooLong`].
    pub fn watchdog(&self, hop_by_hop: u32) -> Result<Bytes, CodecError> {
        let avps = self.origin()?;
        request(avp::DEVICE_WATCHDOG, hop_by_hop).encode(&avps.bytes())
    }

    /// Disconnect-Peer-Request.
    ///
    /// # Errors
    /// [`CodecError::TooLong`].
    pub fn disconnect(&self, hop_by_hop: u32) -> Result<Bytes, CodecError> {
        let mut avps = self.origin()?;
        avps.u32(avp::DISCONNECT_CAUSE, REBOOTING)?;
        request(avp::DISCONNECT_PEER, hop_by_hop).encode(&avps.bytes())
    }

    /// The answer to a peer's request. What a proxy wants back goes back (RFC 6733 section 6.2).
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn answer(&self, to: &Header, avps: &Avps, result: u32) -> Result<Bytes, CodecError> {
        let mut answer = Encoder::default();
        if let Some(session) = avps.one(avp::SESSION_ID)? {
            answer.same(session)?;
        }
        answer.u32(avp::RESULT_CODE, result)?;
        answer
            .octets(avp::ORIGIN_HOST, self.host.as_bytes())?
            .octets(avp::ORIGIN_REALM, self.realm.as_bytes())?;
        if to.application == avp::APPLICATION_SH {
            answer
                .group(avp::VENDOR_SPECIFIC_APPLICATION_ID, &application()?)?
                .u32(avp::AUTH_SESSION_STATE, NO_STATE)?;
        }
        for info in avps.all(avp::PROXY_INFO) {
            answer.same(info)?;
        }
        let error = if (3_000..4_000).contains(&result) {
            FLAG_ERROR
        } else {
            0
        };
        let header = Header {
            flags: (to.flags & FLAG_PROXIABLE) | error,
            ..*to
        };
        header.encode(&answer.bytes())
    }

    /// What each request of Sh begins with (TS 29.329 section 6.1).
    ///
    /// # Errors
    /// [`CodecError::TooLong`].
    pub fn begin_sh(&self, session: &str) -> Result<Encoder, CodecError> {
        let mut avps = Encoder::default();
        avps.octets(avp::SESSION_ID, session.as_bytes())?
            .group(avp::VENDOR_SPECIFIC_APPLICATION_ID, &application()?)?
            .u32(avp::AUTH_SESSION_STATE, NO_STATE)?
            .octets(avp::ORIGIN_HOST, self.host.as_bytes())?
            .octets(avp::ORIGIN_REALM, self.realm.as_bytes())?;
        Ok(avps)
    }

    fn origin(&self) -> Result<Encoder, CodecError> {
        let mut avps = Encoder::default();
        avps.octets(avp::ORIGIN_HOST, self.host.as_bytes())?
            .octets(avp::ORIGIN_REALM, self.realm.as_bytes())?;
        Ok(avps)
    }
}

fn application() -> Result<Encoder, CodecError> {
    let mut group = Encoder::default();
    group
        .u32(avp::VENDOR_ID, avp::VENDOR_3GPP)?
        .u32(avp::AUTH_APPLICATION_ID, avp::APPLICATION_SH)?;
    Ok(group)
}

const fn request(command: u32, hop_by_hop: u32) -> Header {
    Header {
        flags: FLAG_REQUEST,
        command,
        application: avp::APPLICATION_BASE,
        hop_by_hop,
        end_to_end: hop_by_hop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diameter::codec::HEADER_LEN;

    fn node() -> Node {
        Node {
            host: "as.example".to_owned(),
            realm: "example".to_owned(),
        }
    }

    fn cea(result: u32, application: u32) -> Avps {
        let mut avps = node().origin().unwrap();
        avps.u32(avp::RESULT_CODE, result).unwrap();
        avps.u32(avp::AUTH_APPLICATION_ID, application).unwrap();
        Avps::decode(avps.bytes()).unwrap()
    }

    #[test]
    fn a_peer_must_accept_and_serve_or_relay_sh_under_its_name() {
        let judge = |avps: &Avps, host| node().judge(avps, host).unwrap();
        let serves = cea(avp::SUCCESS, avp::APPLICATION_SH);
        assert_eq!(judge(&serves, None), Capable::Yes);
        assert_eq!(judge(&serves, Some("AS.example")), Capable::Yes);
        assert_eq!(judge(&serves, Some("hss.example")), Capable::OtherHost);
        assert_eq!(
            judge(&cea(avp::SUCCESS, avp::APPLICATION_RELAY), None),
            Capable::Yes
        );
        assert_eq!(judge(&cea(avp::SUCCESS, 4), None), Capable::NoSh);
        assert_eq!(
            judge(&cea(3_010, avp::APPLICATION_SH), None),
            Capable::Refused(3_010)
        );
        assert!(node().judge(&Avps::default(), None).is_err());
    }

    #[test]
    fn an_answer_takes_back_session_and_proxies_state_and_no_request_bit() {
        let mut avps = node().begin_sh("hss;1;2").unwrap();
        avps.octets(avp::PROXY_INFO, b"state").unwrap();
        let header = Header {
            flags: FLAG_REQUEST | FLAG_PROXIABLE,
            command: avp::PUSH_NOTIFICATION,
            application: avp::APPLICATION_SH,
            hop_by_hop: 7,
            end_to_end: 8,
        };
        let asked = Avps::decode(avps.bytes()).unwrap();
        let frame = node().answer(&header, &asked, avp::TOO_BUSY).unwrap();
        let answered = Header::decode(&frame).unwrap();
        assert_eq!(answered.flags, FLAG_PROXIABLE | FLAG_ERROR);
        assert_eq!((answered.hop_by_hop, answered.end_to_end), (7, 8));
        let avps = Avps::decode(frame.slice(HEADER_LEN..)).unwrap();
        assert_eq!(
            avps.required(avp::SESSION_ID).unwrap().text(),
            Ok("hss;1;2")
        );
        assert_eq!(
            avps.required(avp::PROXY_INFO).unwrap().data().as_ref(),
            b"state"
        );
    }
}
