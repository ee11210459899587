//! The section of the configuration. What a column means is all stated here; nothing is guessed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use accord_proto::observation::SwapKind;

/// A PostgreSQL database, and how to read it. Unknown keys are refused.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlConfig {
    /// Name or address of the server, or the folder of its Unix socket (`/run/postgresql`).
    pub host: String,
    /// Its port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role. It needs `SELECT` on one view, and nothing else.
    pub user: String,
    /// The file that holds the role's password; a newline at its end does not count.
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds it instead. With neither the server must know the role
    /// by its certificate or its Unix user.
    pub password_env: Option<String>,
    /// TLS. Required, unless the server is on loopback or a Unix socket.
    pub tls: Option<SqlTls>,
    /// What selects the subscriptions of one number, `$1`: one row for each, the present one and
    /// those before it. It is used as a sub-query, so it has no semicolon.
    pub query: String,
    /// IANA name of the zone of dates and times that have none, such as `Europe/London`. It is the
    /// session's `TimeZone` too.
    pub time_zone: String,
    /// How the query wants its number, and how numbers are written in what it selects.
    pub number: SqlNumber,
    /// The columns that the query selects, by what they mean.
    pub columns: SqlColumns,
    /// From a reason in `sim_change_reason` to the kind of swap. One that is not listed is no
    /// kind, and is counted.
    #[serde(default)]
    pub reasons: BTreeMap<String, SwapKind>,
    /// From a text in `begin_reason` to how the subscription began. One that is not listed leaves
    /// the holder unknown, and is counted.
    #[serde(default)]
    pub begins: BTreeMap<String, BeginText>,
    /// What some beginnings mean at this operator.
    #[serde(default)]
    pub policy: BeginPolicy,
    /// Since when an empty date means *it never happened*.
    #[serde(default)]
    pub history: SqlHistory,
    /// Dates (`%Y-%m-%d`) that mean *it never happened*, such as `1900-01-01`.
    #[serde(default)]
    pub never: Vec<String>,
    /// Dates before this one are absurd: an unlisted sentinel, most likely.
    #[serde(default = "default_earliest")]
    pub earliest: String,
    /// Connections for asks.
    #[serde(default = "default_connections")]
    pub connections: usize,
    /// For one ask, connecting included.
    #[serde(default = "default_request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// The most asks that wait at once; more are answered `overloaded`.
    #[serde(default = "default_asks_max")]
    pub asks_max: usize,
    /// How far the server's clock may differ from the adapter's.
    #[serde(default = "default_clock_tolerance_ms")]
    pub clock_tolerance_ms: u64,
    /// What to do about a role that could write.
    #[serde(default)]
    pub writable_role: WritableRole,
    /// How changes are found.
    pub changes: Option<SqlChanges>,
}

impl SqlConfig {
    /// Every path of the section, to be resolved. A Unix socket's folder is absolute.
    pub(crate) fn paths(&mut self) -> Vec<&mut PathBuf> {
        let tls = self.tls.as_mut().into_iter().flat_map(|tls| {
            let own = tls.certificate.iter_mut().chain(&mut tls.key);
            std::iter::once(&mut tls.roots).chain(own)
        });
        let changes = self.changes.as_mut();
        tls.chain(&mut self.password_file)
            .chain(changes.map(|changes| &mut changes.bookmark_file))
            .collect()
    }
}

/// TLS towards the server.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlTls {
    /// PEM: the roots that the server's certificate must lead to. Its name must be `host`.
    pub roots: PathBuf,
    /// PEM: the role's own certificate, where the server asks for one.
    pub certificate: Option<PathBuf>,
    /// PEM: its key.
    pub key: Option<PathBuf>,
}

/// How numbers are written at the source.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlNumber {
    /// The form.
    pub form: NumberForm,
    /// For `national`: the country code, digits only.
    #[serde(default)]
    pub country_code: String,
    /// For `national`: what a number begins with, `0` in most countries.
    #[serde(default)]
    pub national_prefix: String,
}

/// The form of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberForm {
    /// `447700900123`
    International,
    /// `07700900123`
    National,
    /// `+447700900123`
    Plus,
}

/// The columns that the query selects. Dates and times are `date`, `timestamp` or `timestamptz`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlColumns {
    /// The last change of SIM: `sim_swap`.
    pub sim_changed_at: Option<String>,
    /// Its reason, a text; see `reasons`.
    pub sim_change_reason: Option<String>,
    /// The last change of device: `device_swap`.
    pub device_changed_at: Option<String>,
    /// When the subscription began: `number_recycling` and `tenure`, and the SIM of a line that
    /// has had no other.
    pub activated_at: Option<String>,
    /// When it ended, or will end. Empty, `infinity` or a later day: it goes on.
    pub ceased_at: Option<String>,
    /// How it began, a text; see `begins`. Without it each subscription is a new holder's.
    pub begin_reason: Option<String>,
    /// Until when the row holds, a `timestamptz`, for a table that is filled now and then. Without
    /// it the row holds until the server's `now()`; on a standby, until what it has replayed.
    pub observed_at: Option<String>,
}

/// How a subscription began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeginText {
    /// The same subscription goes on, under another contract.
    Continuation,
    /// A new subscription.
    NewLine,
    /// The subscriber took this number instead of another one.
    NumberChange,
    /// The number came from another operator, with its holder.
    PortIn,
    /// A prepaid line was registered once more; see `policy`.
    ReRegistration,
    /// The contract went to another person; see `policy`.
    Transfer,
}

/// Whether a beginning has a new holder, where that is the operator's to say. Each is required if
/// `begins` names it.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginPolicy {
    /// A transfer of ownership, within a family or a firm, say.
    pub transfer: Option<Holder>,
    /// A prepaid line registered once more.
    pub re_registration: Option<Holder>,
}

/// Whose the number is from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub enum Holder {
    /// Another person's: the number counts as recycled.
    #[serde(rename = "new_holder")]
    New,
    /// The same person's as before.
    #[serde(rename = "same_holder")]
    Same,
}

/// Since when an empty date is the truth: a date (`%Y-%m-%d`), or `whole_life`. Without it, a
/// number for which nothing is recorded is `not_watched`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlHistory {
    /// Of `sim_changed_at`, where `activated_at` does not say.
    pub sim: Option<String>,
    /// Of `device_changed_at`.
    pub device: Option<String>,
}

/// What to do about a role that could write to a table, or is a superuser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WritableRole {
    /// The source does not start with it.
    #[default]
    Refuse,
    /// It is logged. Sessions are read-only nevertheless.
    Warn,
}

/// How changes are found, so that they are told as they happen.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlChanges {
    /// What selects the numbers that changed, with the time and an id that tells changes of the
    /// same time apart. It is used as a sub-query, paged by (`changed_at`, `id`).
    pub query: String,
    /// Column of the number, a text of the form that `number` says.
    #[serde(default = "default_number_column")]
    pub msisdn: String,
    /// Column of the time, a `timestamptz`.
    #[serde(default = "default_changed_at_column")]
    pub changed_at: String,
    /// Column of the id.
    #[serde(default = "default_id_column")]
    pub id: String,
    /// The channel on which the database notifies of a change. What it says is not read: it only
    /// wakes the adapter, which then looks.
    pub channel: Option<String>,
    /// How often to look without being woken.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
    /// How long a transaction may have been open when it commits: what is older than the newest
    /// change by less than this is looked at again.
    #[serde(default = "default_overlap_ms")]
    pub overlap_ms: u64,
    /// How far back the first look of all goes.
    #[serde(default = "default_look_back_hours")]
    pub look_back_hours: u32,
    /// Remembers over a restart how far the changes were read: a time, and nothing else.
    pub bookmark_file: PathBuf,
}

const fn default_port() -> u16 {
    5432
}

fn default_earliest() -> String {
    // The first public GSM networks opened in 1991, analogue ones about 1980.
    "1980-01-01".to_owned()
}

const fn default_connections() -> usize {
    4
}

const fn default_request_timeout_ms() -> u64 {
    2_000
}

const fn default_asks_max() -> usize {
    1_024
}

const fn default_clock_tolerance_ms() -> u64 {
    5_000
}

fn default_number_column() -> String {
    "msisdn".to_owned()
}

fn default_changed_at_column() -> String {
    "changed_at".to_owned()
}

fn default_id_column() -> String {
    "id".to_owned()
}

const fn default_poll_ms() -> u64 {
    5_000
}

const fn default_overlap_ms() -> u64 {
    60_000
}

const fn default_look_back_hours() -> u32 {
    72
}
