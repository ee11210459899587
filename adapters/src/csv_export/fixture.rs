//! Makes a subscriber file of any size, for tests and benchmarks.

use std::io::Write;
use std::path::Path;

use accord_proto::msisdn::{Msisdn, MsisdnError};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Name of the file that [`config`] expects.
pub const FILE_NAME: &str = "subscribers.csv";

/// Each row's number: `+999 07 00000` and on. 999 is no country's code (ITU-T E.164, list of
/// assigned codes: spare), so that nobody has these numbers; the ranges reserved for drama have a
/// thousand each, which is too few.
///
/// # Errors
/// Never below 10^11 rows.
pub fn number(row: u64) -> Result<Msisdn, MsisdnError> {
    Msisdn::parse(&format!("+99907{row:05}"))
}

/// The configuration, as TOML, for a file of [`write_fixture`] in a directory.
#[must_use]
pub fn config(directory: &Path) -> String {
    format!(
        r#"directory = {directory:?}
file_name = "{FILE_NAME}"
encoding = "utf-8"
delimiter = ";"
time_zone = "UTC"
never = ["01-01-1900"]
unknown = ["", "N/A"]

[number]
country_code = "999"
bare = "national"

[exported_at]
from = "column"
name = "EXPORTED"
format = "%Y-%m-%d %H:%M:%S"

[complete]
by = "trailer"
text = "END"

[columns]
msisdn = "MSISDN"
sim_changed_at = {{ name = "SIM_DATE", format = "%d-%m-%Y", history_since = "2015-01-01" }}
sim_change_kind = {{ name = "SIM_KIND", values = {{ REPL = "replacement", ESIM = "esim" }} }}
device_changed_at = {{ name = "IMEI_DATE", format = "%d-%m-%Y", history_since = "2015-01-01" }}
activated_at = {{ name = "ACTIVE_FROM", format = "%d-%m-%Y" }}
"#
    )
}

/// Writes a file. The same arguments give the same bytes: about one subscriber in ten never
/// changed the SIM, one in fifty did in the last week, the rest over ten years.
///
/// # Errors
/// Those of `to`.
pub fn write_fixture(
    rows: u64,
    seed: u64,
    exported_at: Timestamp,
    to: &mut impl Write,
) -> std::io::Result<()> {
    let zoned = |days: u64| {
        let days = i64::try_from(days).unwrap_or(i64::MAX);
        let at = exported_at - SignedDuration::from_hours(24 * days);
        at.to_zoned(TimeZone::UTC)
    };
    let exported = zoned(0).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let mut random = seed;
    writeln!(
        to,
        "MSISDN;SIM_DATE;SIM_KIND;IMEI_DATE;ACTIVE_FROM;EXPORTED"
    )?;
    for row in 0..rows {
        let (drawn, kind) = (next(&mut random), next(&mut random));
        let (sim_days, sim) = match drawn % 50 {
            0 => (next(&mut random) % 7, true),
            1..=5 => (0, false),
            _ => (7 + next(&mut random) % 3_650, true),
        };
        let device_days = next(&mut random) % 1_500;
        let active_days = sim_days + next(&mut random) % 3_650;
        let sim_date = if sim {
            zoned(sim_days).strftime("%d-%m-%Y").to_string()
        } else {
            "01-01-1900".to_owned()
        };
        let kind = if kind % 4 == 0 { "ESIM" } else { "REPL" };
        let device = zoned(device_days).strftime("%d-%m-%Y").to_string();
        let active = zoned(active_days).strftime("%d-%m-%Y").to_string();
        writeln!(
            to,
            "07{row:05};{sim_date};{kind};{device};{active};{exported}"
        )?;
    }
    writeln!(to, "END;{rows}")
}

/// `SplitMix64`: small, and the same on every machine.
const fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
