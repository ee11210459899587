//! As much of a VLR as it takes to register a subscriber: GSUP over IPA, the way a switch of
//! Osmocom speaks to its HLR (OsmoHLR user manual, "Generic Subscriber Update Protocol").

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{RealHlr, TestingError, WAIT_MAX};

const IPA_CCM: u8 = 0xFE;
const IPA_OSMO: u8 = 0xEE;
const EXTENSION_GSUP: u8 = 0x05;

const CCM_PING: u8 = 0x00;
const CCM_PONG: u8 = 0x01;
const CCM_ID_GET: u8 = 0x04;
const CCM_ID_RESP: u8 = 0x05;
const CCM_ID_ACK: u8 = 0x06;

const UPDATE_LOCATION: u8 = 0x04;
const UPDATE_LOCATION_ERROR: u8 = 0x05;
const UPDATE_LOCATION_RESULT: u8 = 0x06;
const INSERT_DATA: u8 = 0x10;
const INSERT_DATA_RESULT: u8 = 0x12;
const CHECK_IMEI: u8 = 0x30;
const CHECK_IMEI_ERROR: u8 = 0x31;
const CHECK_IMEI_RESULT: u8 = 0x32;

const IE_IMSI: u8 = 0x01;
const IE_CN_DOMAIN: u8 = 0x28;
const IE_IMEI: u8 = 0x50;
const CN_DOMAIN_PS: u8 = 1;
const CN_DOMAIN_CS: u8 = 2;

/// One request, and the messages that end it.
struct Request {
    kind: u8,
    accepted: u8,
    refused: u8,
    /// The information elements after the IMSI.
    more: Vec<u8>,
}

impl RealHlr {
    /// Registers a subscriber at a VLR of this name, as when a handset is switched on there.
    ///
    /// # Errors
    /// [`TestingError::Refused`] for an unknown subscriber.
    pub async fn register(&self, vlr: &str, imsi: &str) -> Result<(), TestingError> {
        let request = update_location(CN_DOMAIN_CS);
        self.request(vlr, imsi, request, "location update").await
    }

    /// Registers a subscriber at an SGSN of this name, for data.
    ///
    /// # Errors
    /// [`TestingError::Refused`] for an unknown subscriber.
    pub async fn attach(&self, sgsn: &str, imsi: &str) -> Result<(), TestingError> {
        let request = update_location(CN_DOMAIN_PS);
        self.request(sgsn, imsi, request, "location update").await
    }

    /// Checks in a device with a subscriber's card. The HLR keeps 14 digits.
    ///
    /// # Errors
    /// [`TestingError::Refused`] for an unknown subscriber or an IMEI that the HLR does not take.
    pub async fn check_in(&self, vlr: &str, imsi: &str, imei: &str) -> Result<(), TestingError> {
        // The value has a length of its own before its digits (3GPP TS 24.008 section 10.5.4.7).
        let digits = tbcd(imei);
        let length = u8::try_from(digits.len()).unwrap_or(u8::MAX);
        let mut more = vec![IE_IMEI, length.saturating_add(1), length];
        more.extend(digits);
        let request = Request {
            kind: CHECK_IMEI,
            accepted: CHECK_IMEI_RESULT,
            refused: CHECK_IMEI_ERROR,
            more,
        };
        self.request(vlr, imsi, request, "check of an IMEI").await
    }

    async fn request(
        &self,
        peer: &str,
        imsi: &str,
        request: Request,
        what: &str,
    ) -> Result<(), TestingError> {
        let io = |error| TestingError::Io("speak GSUP", error);
        let run = async {
            let mut stream = TcpStream::connect(self.gsup_address()).await?;
            exchange(&mut stream, peer, imsi, &request).await
        };
        let done = tokio::time::timeout(WAIT_MAX, run).await;
        let done = done.map_err(|_| io(std::io::ErrorKind::TimedOut.into()))?;
        if done.map_err(io)? {
            return Ok(());
        }
        Err(TestingError::Refused(what.to_owned()))
    }
}

fn update_location(domain: u8) -> Request {
    Request {
        kind: UPDATE_LOCATION,
        accepted: UPDATE_LOCATION_RESULT,
        refused: UPDATE_LOCATION_ERROR,
        more: vec![IE_CN_DOMAIN, 1, domain],
    }
}

/// `true`: accepted.
async fn exchange(
    stream: &mut TcpStream,
    peer: &str,
    imsi: &str,
    request: &Request,
) -> std::io::Result<bool> {
    let mut subscriber = vec![IE_IMSI];
    let digits = tbcd(imsi);
    subscriber.extend(u8::try_from(digits.len()));
    subscriber.extend(digits);
    loop {
        let (protocol, payload) = read(stream).await?;
        match (protocol, payload.as_slice()) {
            (IPA_CCM, [CCM_PING, ..]) => write(stream, IPA_CCM, &[CCM_PONG]).await?,
            (IPA_CCM, [CCM_ID_GET, ..]) => {
                write(stream, IPA_CCM, &identity(peer)).await?;
                write(stream, IPA_CCM, &[CCM_ID_ACK]).await?;
                let mut bytes = vec![EXTENSION_GSUP, request.kind];
                bytes.extend(&subscriber);
                bytes.extend(&request.more);
                write(stream, IPA_OSMO, &bytes).await?;
            }
            (IPA_OSMO, [EXTENSION_GSUP, INSERT_DATA, ..]) => {
                let mut result = vec![EXTENSION_GSUP, INSERT_DATA_RESULT];
                result.extend(&subscriber);
                write(stream, IPA_OSMO, &result).await?;
            }
            (IPA_OSMO, [EXTENSION_GSUP, kind, ..]) if *kind == request.accepted => return Ok(true),
            (IPA_OSMO, [EXTENSION_GSUP, kind, ..]) if *kind == request.refused => return Ok(false),
            _ => {}
        }
    }
}

/// Who we are: serial number (0), which the HLR stores as the VLR's number, unit name (1), and a
/// unit id (8), without which it hangs up.
fn identity(name: &str) -> Vec<u8> {
    let mut bytes = vec![CCM_ID_RESP];
    for (tag, text) in [(8, "0/0/0"), (1, name), (0, name)] {
        let length = u16::try_from(text.len() + 2).unwrap_or(u16::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.push(tag);
        bytes.extend(text.bytes());
        bytes.push(0);
    }
    bytes
}

/// Two digits in each byte, the first in the low half (3GPP TS 29.002 section 17.7.8).
fn tbcd(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().map(|digit| digit & 0x0F).collect();
    let byte = |pair: &[u8]| match pair {
        [low, high] => high << 4 | low,
        [low] => 0xF0 | low,
        _ => 0xFF,
    };
    digits.chunks(2).map(byte).collect()
}

async fn write(stream: &mut TcpStream, protocol: u8, payload: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(payload.len()).map_err(std::io::Error::other)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&[protocol]).await?;
    stream.write_all(payload).await
}

async fn read(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let length = stream.read_u16().await?;
    let protocol = stream.read_u8().await?;
    let mut payload = vec![0; usize::from(length)];
    stream.read_exact(&mut payload).await?;
    Ok((protocol, payload))
}
