//! The document of a User-Data-Answer: `Sh-Data` (3GPP TS 29.328 annexes C and D).
//!
//! Releases put newer data into `Extension` elements inside `Extension` elements; what is looked
//! for is looked for in each of them and nowhere else.

use accord_proto::msisdn::Msisdn;

use super::tbcd;
use super::xml::{Element, XmlError};

/// The most IMSIs of one number: cards that share it.
pub const IMSIS_MAX: usize = 8;
/// An IMEI without its check digit or software version (TS 23.003 section 6.2).
const IMEI_LEN: usize = 14;
const EXTENSION: &str = "Extension";
/// The oldest location that can be told (TS 29.002).
const AGE_MINUTES_MAX: u32 = 32_767;

/// Why a document can't be used. It never repeats any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShDataError {
    /// Not XML as it should be.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Another document.
    #[error("the document is no Sh-Data")]
    Root,
    /// Its identities are others than the one asked about, or are written in no form that tells.
    #[error("the document is about another number, or about none in international form")]
    OtherNumber,
    /// Not 6 to 15 digits (TS 23.003 section 2.2), or too many of them.
    #[error("the document has no well-formed IMSI")]
    Imsi,
    /// Not 14 to 16 digits, or several.
    #[error("the document has no well-formed IMEI")]
    Imei,
}

/// The data of a service, from the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Whose data.
    pub indication: String,
    /// The data; `None` where there is none.
    pub service: Option<Element>,
}

/// Where one domain serves the subscriber. All absent: nowhere that the HSS knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// Global titles or names of VLR, MSC, SGSN, or MME.
    pub nodes: Vec<String>,
    /// The visited network: MCC and MNC, three digits each.
    pub plmn: Option<String>,
    /// Minutes since the network last heard of the phone (TS 29.002, `AgeOfLocationInformation`), where it
    /// is said.
    pub age_minutes: Option<u32>,
}

/// What is used of a document.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ShData {
    /// The IMSI, or all those that share the number, in order and with commas between.
    pub imsi: Option<String>,
    /// 14 digits.
    pub imei: Option<String>,
    /// Circuit switched.
    pub cs: Option<Location>,
    /// Packet switched.
    pub ps: Option<Location>,
    /// Data of services.
    pub repositories: Vec<Repository>,
}

impl std::fmt::Debug for ShData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShData([subscriber])")
    }
}

impl ShData {
    /// Reads a document that answers a question about `asked`.
    ///
    /// # Errors
    /// [`ShDataError`].
    pub fn parse(bytes: &[u8], asked: &Msisdn) -> Result<Self, ShDataError> {
        let root = Element::parse(bytes)?;
        if root.name != "Sh-Data" {
            return Err(ShDataError::Root);
        }
        about(&root, asked)?;
        Ok(Self {
            imsi: imsi(&root)?,
            imei: imei(&root)?,
            cs: location(&root, "CSLocationInformation"),
            ps: location(&root, "PSLocationInformation"),
            repositories: root.all("RepositoryData").map(repository).collect(),
        })
    }
}

/// Calls `with` for an element and for each `Extension` in it, however deep.
fn each_extension<'a>(of: &'a Element, with: &mut dyn FnMut(&'a Element)) {
    with(of);
    for inner in of.all(EXTENSION) {
        each_extension(inner, with);
    }
}

/// The texts of the children `name`, in the element itself or its extensions.
fn texts<'a>(of: &'a Element, name: &'a str) -> Vec<&'a str> {
    let mut found = Vec::new();
    each_extension(of, &mut |level| {
        found.extend(level.all(name).map(Element::text))
    });
    found.retain(|text| !text.is_empty());
    found
}

/// Where the document says whose it is, that must be the number asked about. One that can't be read, as
/// a national number that doesn't say of which country, is not taken for it.
fn about(root: &Element, asked: &Msisdn) -> Result<(), ShDataError> {
    let said: Vec<Option<String>> = root
        .all("PublicIdentifiers")
        .flat_map(|identities| texts(identities, "MSISDN"))
        .map(isdn)
        .collect();
    let asked = Some(asked.expose_digits());
    if said.is_empty() || said.iter().any(|digits| digits.as_deref() == asked) {
        return Ok(());
    }
    Err(ShDataError::OtherNumber)
}

fn imsi(root: &Element) -> Result<Option<String>, ShDataError> {
    let mut imsis = texts(root, "IMSI");
    imsis.sort_unstable();
    imsis.dedup();
    let well = |text: &&str| (6..=15).contains(&text.len()) && is_digits(text);
    if imsis.len() > IMSIS_MAX || !imsis.iter().all(well) {
        return Err(ShDataError::Imsi);
    }
    Ok((!imsis.is_empty()).then(|| imsis.join(",")))
}

fn imei(root: &Element) -> Result<Option<String>, ShDataError> {
    let imeis = [texts(root, "IMEISV"), texts(root, "IMEI")].concat();
    let well = |text: &&str| (IMEI_LEN..=16).contains(&text.len()) && is_digits(text);
    if !imeis.iter().all(well) {
        return Err(ShDataError::Imei);
    }
    // A new software version, or the check digit, is no new phone.
    let mut phones: Vec<&str> = imeis
        .iter()
        .filter_map(|text| text.get(..IMEI_LEN))
        .collect();
    phones.dedup();
    match phones.as_slice() {
        [] => Ok(None),
        [phone] => Ok(Some((*phone).to_owned())),
        _ => Err(ShDataError::Imei),
    }
}

fn location(root: &Element, name: &str) -> Option<Location> {
    let mut found = None;
    each_extension(root, &mut |level| {
        found = found.or_else(|| level.child(name))
    });
    let domain = found?;
    let nodes = ["VLRNumber", "MSCNumber", "SGSNNumber", "MMEName"];
    let nodes = nodes.iter().flat_map(|name| texts(domain, name));
    let nodes = nodes.map(|text| isdn(text).unwrap_or_else(|| text.to_owned()));
    let nodes: Vec<String> = nodes.collect();
    let by_name = || nodes.iter().find_map(|name| plmn_of_name(name));
    let said = texts(domain, "VisitedPLMNID");
    let plmn = said.first().and_then(|text| plmn(text)).or_else(by_name);
    // Of several, and of what can't be read, the oldest.
    let ages = texts(domain, "AgeOfLocationInformation");
    let ages = ages
        .iter()
        .map(|text| text.parse().unwrap_or(AGE_MINUTES_MAX));
    Some(Location {
        plmn,
        nodes,
        age_minutes: ages.max().map(|age: u32| age.min(AGE_MINUTES_MAX)),
    })
}

fn repository(element: &Element) -> Repository {
    let indication = element.child("ServiceIndication").map(Element::text);
    Repository {
        indication: indication.unwrap_or_default().to_owned(),
        service: element.child("ServiceData").cloned(),
    }
}

/// An ISDN address: digits, or an `ISDN-AddressString` (TS 29.002) in base64, whose first byte
/// says that it is an international E.164 number; of any other nature it is none that can be compared,
/// such as a national one (0xA1). (The base64 of 0x91 begins with `k`, that of 0xA1 with `o`: no digits
/// do.)
fn isdn(text: &str) -> Option<String> {
    use base64::Engine as _;
    let digits = text.strip_prefix('+').unwrap_or(text);
    if is_digits(digits) {
        return Some(digits.to_owned());
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    let (nature, number) = bytes.split_first()?;
    (*nature == 0x91).then(|| tbcd::decode(number)).flatten()
}

/// A PLMN: five or six digits, or three bytes in base64 as TS 24.008 section 10.5.1.13 packs them.
/// One form for all: MCC, and MNC with three digits. The names of nodes pad it so (TS 23.003
/// section 19.2), and no country has both `70` and `070`.
pub(super) fn plmn(text: &str) -> Option<String> {
    use base64::Engine as _;
    let digits = if is_digits(text) && (5..=6).contains(&text.len()) {
        text.to_owned()
    } else {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        let [a, b, c] = <[u8; 3]>::try_from(bytes.ok()?).ok()?;
        let mut digits = vec![a & 0xf, a >> 4, b & 0xf, c & 0xf, c >> 4];
        digits.extend(Some(b >> 4).filter(|mnc_3| *mnc_3 != 0xf));
        let digits = digits
            .into_iter()
            .map(|digit| char::from_digit(digit.into(), 10));
        digits.collect::<Option<String>>()?
    };
    let (mcc, mnc) = digits.split_at_checked(3)?;
    Some(format!("{mcc}{mnc:0>3}"))
}

/// The network in the name of a node: `….mnc070.mcc901.3gppnetwork.org`.
fn plmn_of_name(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let mut labels = name.strip_suffix(".3gppnetwork.org")?.rsplit('.');
    let mut part = |what| {
        let label = labels.next()?.strip_prefix(what)?;
        (label.len() == 3 && is_digits(label)).then_some(label)
    };
    Some(format!("{}{}", part("mcc")?, part("mnc")?))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
