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

const IE_IMSI: u8 = 0x01;
const IE_CN_DOMAIN: u8 = 0x28;
const CN_DOMAIN_CS: u8 = 2;

impl RealHlr {
    /// Registers a subscriber at a VLR of this name, as when a handset is switched on there.
    ///
    /// # Errors
    /// [`TestingError::Refused`] for an unknown subscriber.
    pub async fn register(&self, vlr: &str, imsi: &str) -> Result<(), TestingError> {
        let io = |error| TestingError::Io("speak GSUP", error);
        let run = async {
            let mut stream = TcpStream::connect(self.gsup_address()).await?;
            update_location(&mut stream, vlr, imsi).await
        };
        let done = tokio::time::timeout(WAIT_MAX, run).await;
        let done = done.map_err(|_| io(std::io::ErrorKind::TimedOut.into()))?;
        if done.map_err(io)? {
            return Ok(());
        }
        Err(TestingError::Refused("location update".to_owned()))
    }
}

/// `true`: accepted.
async fn update_location(stream: &mut TcpStream, vlr: &str, imsi: &str) -> std::io::Result<bool> {
    let mut subscriber = vec![IE_IMSI];
    let digits = tbcd(imsi);
    subscriber.extend(u8::try_from(digits.len()));
    subscriber.extend(digits);
    loop {
        let (protocol, payload) = read(stream).await?;
        match (protocol, payload.as_slice()) {
            (IPA_CCM, [CCM_PING, ..]) => write(stream, IPA_CCM, &[CCM_PONG]).await?,
            (IPA_CCM, [CCM_ID_GET, ..]) => {
                write(stream, IPA_CCM, &identity(vlr)).await?;
                write(stream, IPA_CCM, &[CCM_ID_ACK]).await?;
                let mut request = vec![EXTENSION_GSUP, UPDATE_LOCATION];
                request.extend(&subscriber);
                request.extend([IE_CN_DOMAIN, 1, CN_DOMAIN_CS]);
                write(stream, IPA_OSMO, &request).await?;
            }
            (IPA_OSMO, [EXTENSION_GSUP, INSERT_DATA, ..]) => {
                let mut result = vec![EXTENSION_GSUP, INSERT_DATA_RESULT];
                result.extend(&subscriber);
                write(stream, IPA_OSMO, &result).await?;
            }
            (IPA_OSMO, [EXTENSION_GSUP, UPDATE_LOCATION_RESULT, ..]) => return Ok(true),
            (IPA_OSMO, [EXTENSION_GSUP, UPDATE_LOCATION_ERROR, ..]) => return Ok(false),
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
