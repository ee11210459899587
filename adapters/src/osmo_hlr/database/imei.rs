//! A device, as its IMEI tells it.

/// The first 14 digits of an IMEI: type allocation code and serial number (3GPP TS 23.003 section
/// 6.2). The 15th is a check digit, which networks send as 0 or not at all, and the 15th and 16th
/// of an IMEISV are the software's version, which changes with each update of the device.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::osmo_hlr) struct Imei(String);

const DEVICE_DIGITS: usize = 14;

impl Imei {
    /// `None`: not 14 to 16 digits, or the zeros of a device that does not know its own.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !(DEVICE_DIGITS..=DEVICE_DIGITS + 2).contains(&text.len()) {
            return None;
        }
        let device = text.get(..DEVICE_DIGITS)?;
        let known = device.bytes().any(|byte| byte != b'0');
        known.then(|| Self(device.to_owned()))
    }

    /// For the journal's keyed digest, and for nothing else.
    pub(in crate::osmo_hlr) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Imei {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Imei([device])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digit_and_software_version_make_no_other_device() {
        let device = Imei::parse("00101700000001");
        assert!(device.is_some());
        for same in ["001017000000010", "001017000000015", "0010170000000178"] {
            assert_eq!(Imei::parse(same), device, "{same}");
        }
        assert_ne!(Imei::parse("00101700000002"), device);
    }

    #[test]
    fn what_is_no_device_is_none() {
        for bad in [
            "",
            "0010170000000",
            "00101700000001234",
            "0010170000000A",
            "00101700000001 ",
            "00000000000000",
            "000000000000007",
        ] {
            assert_eq!(Imei::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_device_is_redacted_in_debug() {
        let shown = format!("{:?}", Imei::parse("00101700000001"));
        assert!(!shown.contains("1017"), "{shown}");
    }
}
