//! Reads one `[[clause]]` and checks it against the rules.

use super::{Clause, ClauseId, Consent, LegalBasis, Scope, Thresholds, clause::purpose};
use crate::{
    document::{Found, TableReader, boolean, integer, text, word},
    granularity::Granularity,
    party::OrgName,
    purpose::Purpose,
    signal::Signal,
    wire::THRESHOLD_HOURS_MAX,
};

const TITLE_LEN_MAX: usize = 200;
const TEXT_LEN_MAX: usize = 8_000;
const THRESHOLDS_MAX: usize = 16;
/// Four weeks: the broker knows a subject under this month's and last month's tag, and the shortest
/// month has 28 days.
const THRESHOLD_WINDOW_HOURS_MAX: u32 = 672;
/// A century, so that a mistyped figure is found.
const DAYS_MAX: u32 = 36_500;
/// The most that `age_max_minutes` and `caching_minutes` of a clause may be: a month, since a monthly export
/// is the oldest source.
pub const AGE_MAX_MINUTES_MAX: u32 = 44_640;
const PER_SECOND_MAX: u32 = 100_000;
const PER_SUBJECT_PER_DAY_MAX: u32 = 1_000;

/// What a clause is about, which decides which other keys it needs.
struct Scoped {
    banks: Scope,
    operators: Scope,
    on_behalf_of: Vec<OrgName>,
    signals: Vec<Signal>,
    purposes: Vec<Purpose>,
    granularity: Granularity,
    /// Something was mistaken, so that rules between keys would only add noise.
    partial: bool,
}

impl Scoped {
    /// Asks about a swap, which takes a threshold.
    fn has_swap(&self) -> bool {
        self.signals
            .iter()
            .any(|signal| matches!(signal, Signal::SimSwap | Signal::DeviceSwap))
    }

    /// Asks since a date or a moment.
    fn has_since(&self) -> bool {
        let dated = |signal: &Signal| matches!(signal, Signal::NumberRecycling | Signal::Tenure);
        self.signals.iter().any(dated) || self.has_attack()
    }

    /// Asks about attacks by signalling.
    fn has_attack(&self) -> bool {
        self.signals.contains(&Signal::SignallingAnomaly)
    }
}

struct Windows {
    thresholds: Thresholds,
    threshold_window_hours: u32,
    look_back_days: u32,
}

struct Terms {
    legal_basis: LegalBasis,
    basis_reference: String,
    consent: Consent,
    opt_out_honoured: bool,
}

/// Reads one clause. `None` only after a mistake was recorded.
pub(super) fn read_clause(mut reader: TableReader<'_, '_, '_>) -> Option<Clause> {
    let line = reader.line();
    let id = reader.required("id", word(ClauseId::parse));
    let title = reader.required("title", text(TITLE_LEN_MAX));
    let words = reader.required("text", text(TEXT_LEN_MAX));
    let terms = read_terms(&mut reader);
    let scoped = read_scope(&mut reader);
    let windows = read_windows(&mut reader, &scoped);
    let age_max = reader.required("age_max_minutes", integer(1..=AGE_MAX_MINUTES_MAX));
    let caching_minutes = read_caching(&mut reader, age_max.as_ref());
    let swap_kind = read_flag(&mut reader, "swap_kind", &scoped, SWAP, false);
    let customer_lock = read_flag(&mut reader, "customer_lock", &scoped, SWAP, true);
    let attack_kind = read_flag(&mut reader, "attack_kind", &scoped, ATTACK, false);
    let per_second = reader.required("per_second", integer(1..=PER_SECOND_MAX));
    let per_subject_per_day = read_per_subject(&mut reader, &scoped);
    let retention = reader.required("retention_days", integer(1..=DAYS_MAX));
    reader.finish();
    let (terms, windows) = (terms?, windows?);
    Some(Clause {
        id: id?.value,
        line,
        title: title?.value,
        text: words?.value,
        legal_basis: terms.legal_basis,
        basis_reference: terms.basis_reference,
        banks: scoped.banks,
        operators: scoped.operators,
        on_behalf_of: scoped.on_behalf_of,
        signals: scoped.signals,
        purposes: scoped.purposes,
        granularity: scoped.granularity,
        thresholds: windows.thresholds,
        threshold_window_hours: windows.threshold_window_hours,
        look_back_days: windows.look_back_days,
        age_max_minutes: age_max?.value,
        caching_minutes,
        consent: terms.consent,
        opt_out_honoured: terms.opt_out_honoured,
        swap_kind,
        attack_kind,
        customer_lock,
        per_second: per_second?.value,
        per_subject_per_day,
        retention_days: retention?.value,
    })
}

fn read_scope(reader: &mut TableReader<'_, '_, '_>) -> Scoped {
    let banks = read_orgs(reader, "banks");
    let operators = read_orgs(reader, "operators");
    let on_behalf_of = reader.list("on_behalf_of", word(OrgName::parse));
    let signals = reader.required_list("signals", word(str::parse::<Signal>));
    let purposes = reader.required_list("purposes", word(purpose));
    let granularity = reader.optional("granularity", word(str::parse::<Granularity>));
    let mut partial = signals.value.is_empty() || purposes.value.is_empty();
    if let Some(Found { value, line }) = &granularity {
        for signal in signals.value.iter().filter(|signal| !value.suits(**signal)) {
            let rule = format!("`{signal}` can't be answered as `{value}`");
            reader.mistake(*line, "granularity", rule);
            partial = true;
        }
    }
    Scoped {
        banks,
        operators,
        on_behalf_of: on_behalf_of.map_or_else(Vec::new, |found| found.value),
        signals: signals.value,
        purposes: purposes.value,
        // Rule R11: the coarsest, unless the authorities wrote otherwise.
        granularity: granularity.map_or(Granularity::YesNo, |found| found.value),
        partial,
    }
}

fn read_orgs(reader: &mut TableReader<'_, '_, '_>, key: &'static str) -> Scope {
    let name = |name: &str| match name {
        "*" => Ok(None),
        _ => OrgName::parse(name).map(Some),
    };
    let found = reader.required_list(key, word(name));
    let all = found.value.contains(&None);
    if all && found.value.len() > 1 {
        reader.mistake(
            found.line,
            key,
            "`*` means all, so no name stands beside it",
        );
    }
    if all {
        Scope::All
    } else {
        Scope::Named(found.value.into_iter().flatten().collect())
    }
}

fn read_terms(reader: &mut TableReader<'_, '_, '_>) -> Option<Terms> {
    let legal_basis = reader.required("legal_basis", word(LegalBasis::parse));
    let basis_reference = reader.required("basis_reference", text(TEXT_LEN_MAX));
    let consent = reader.required("consent", word(Consent::parse));
    let opt_out = reader.optional("opt_out", word(opt_out_honoured));
    if let (Some(basis), Some(consent)) = (&legal_basis, &consent)
        && basis.value == LegalBasis::Consent
        && consent.value == Consent::NotRequired
    {
        let rule = "is `reference_required` where the legal basis is `consent` (rule R10)";
        reader.mistake(consent.line, "consent", rule);
    }
    if let (Some(basis), Some(opt_out)) = (&legal_basis, &opt_out) {
        let by_law = matches!(
            basis.value,
            LegalBasis::LegalObligation | LegalBasis::PublicTask
        );
        if !opt_out.value && !by_law {
            let rule = "may be `overridden` only where the legal basis is `legal_obligation` or \
                        `public_task` (rule R10)";
            reader.mistake(opt_out.line, "opt_out", rule);
        }
    }
    Some(Terms {
        legal_basis: legal_basis?.value,
        basis_reference: basis_reference?.value,
        consent: consent?.value,
        opt_out_honoured: opt_out.is_none_or(|found| found.value),
    })
}

fn opt_out_honoured(word: &str) -> Result<bool, &'static str> {
    match word {
        "honoured" => Ok(true),
        "overridden" => Ok(false),
        _ => Err("is `honoured` or `overridden`"),
    }
}

fn read_windows(reader: &mut TableReader<'_, '_, '_>, scoped: &Scoped) -> Option<Windows> {
    let thresholds = read_thresholds(reader);
    let window = reader.optional(
        "threshold_window_hours",
        integer(1..=THRESHOLD_WINDOW_HOURS_MAX),
    );
    let look_back = reader.optional("look_back_days", integer(1..=DAYS_MAX));
    if scoped.partial {
        return None;
    }
    let line = reader.line();
    let (swap, dated) = (scoped.has_swap(), scoped.has_since());
    // A threshold that is mistaken or missing has its own mistake: rules between keys go by what
    // was meant.
    let offers =
        swap && (reader.holds("thresholds_hours") || scoped.granularity == Granularity::YesNo);
    if let Some(found) = thresholds.as_ref().filter(|_| !swap) {
        let rule = "has no effect: neither `sim_swap` nor `device_swap` is among the signals";
        reader.mistake(found.line, "thresholds_hours", rule);
    }
    if swap && scoped.granularity == Granularity::YesNo && !reader.holds("thresholds_hours") {
        let rule = "is required where a swap is answered with yes or no";
        reader.mistake(line, "thresholds_hours", rule);
    }
    // A clause that tells the instant itself has nothing that could be folded into it.
    let folds = (dated || offers) && scoped.granularity != Granularity::Instant;
    match &window {
        None if folds && !reader.holds("threshold_window_hours") => {
            let rule = "is required where thresholds, dates or moments are asked, so that many \
                        questions can't be folded into a date";
            reader.mistake(line, "threshold_window_hours", rule);
        }
        Some(found) if !dated && !offers => {
            let rule = "has no effect: no threshold, date or moment can be asked";
            reader.mistake(found.line, "threshold_window_hours", rule);
        }
        Some(_) | None => {}
    }
    match &look_back {
        None if (swap || dated) && !reader.holds("look_back_days") => {
            let rule = "is required where a change is asked (rule R13)";
            reader.mistake(line, "look_back_days", rule);
        }
        Some(found) if !swap && !dated => {
            let rule = "has no effect: only states are asked";
            reader.mistake(found.line, "look_back_days", rule);
        }
        Some(_) | None => {}
    }
    let look_back_days = look_back.map_or(0, |found| found.value);
    if let Some(found) = &thresholds {
        check_look_back(reader, found, look_back_days);
    }
    Some(Windows {
        thresholds: thresholds.map_or(Thresholds::None, |found| found.value),
        threshold_window_hours: window.map_or(0, |found| found.value),
        look_back_days,
    })
}

/// Rule R13: a threshold beyond the look-back could never be answered.
fn check_look_back(
    reader: &mut TableReader<'_, '_, '_>,
    thresholds: &Found<Thresholds>,
    look_back_days: u32,
) {
    let Thresholds::Offered(hours) = &thresholds.value else {
        return;
    };
    let longest = hours.last().copied().unwrap_or_default();
    if look_back_days > 0 && u64::from(longest) > u64::from(look_back_days) * 24 {
        let rule = format!(
            "{longest} h is more than the {look_back_days} days of `look_back_days` (rule R13)"
        );
        reader.mistake(thresholds.line, "thresholds_hours", rule);
    }
}

fn read_thresholds(reader: &mut TableReader<'_, '_, '_>) -> Option<Found<Thresholds>> {
    const KEY: &str = "thresholds_hours";
    if reader.holds_text(KEY) {
        let any = |word: &str| match word {
            "any" => Ok(Thresholds::Any),
            _ => Err("is a list of hours, such as `[24, 72]`, or `\"any\"`"),
        };
        return reader.optional(KEY, word(any));
    }
    let Found { value: hours, line } = reader.list(KEY, integer(1..=THRESHOLD_HOURS_MAX))?;
    if hours.len() > THRESHOLDS_MAX {
        reader.mistake(line, KEY, format!("offers at most {THRESHOLDS_MAX}"));
    }
    if !hours.is_sorted() {
        reader.mistake(line, KEY, "rises from the first to the last");
    }
    if reader.holds_empty_list(KEY) {
        reader.mistake(line, KEY, "offers at least one, or is left out");
    }
    let value = Thresholds::Offered(hours);
    Some(Found { value, line })
}

fn read_caching(reader: &mut TableReader<'_, '_, '_>, age_max: Option<&Found<u32>>) -> u32 {
    let caching = reader.optional("caching_minutes", integer(0..=AGE_MAX_MINUTES_MAX));
    if let (Some(caching), Some(age_max)) = (&caching, age_max)
        && caching.value > age_max.value
    {
        let rule = "is not more than `age_max_minutes`: an older answer would be stale";
        reader.mistake(caching.line, "caching_minutes", rule);
    }
    caching.map_or(0, |found| found.value)
}

/// Whether a flag means something to a clause, and what is wrong where it does not.
type Meaning = (fn(&Scoped) -> bool, &'static str);

const SWAP: Meaning = (
    Scoped::has_swap,
    "has no effect: neither `sim_swap` nor `device_swap` is among the signals",
);
const ATTACK: Meaning = (
    Scoped::has_attack,
    "has no effect: `signalling_anomaly` is not among the signals",
);

/// A flag that means something only where some signals are asked.
fn read_flag(
    reader: &mut TableReader<'_, '_, '_>,
    key: &'static str,
    scoped: &Scoped,
    (applies, rule): Meaning,
    default: bool,
) -> bool {
    let flag = reader.optional(key, boolean);
    let applies = applies(scoped);
    if let Some(flag) = &flag
        && flag.value
        && !applies
        && !scoped.partial
    {
        reader.mistake(flag.line, key, rule);
    }
    applies && flag.map_or(default, |found| found.value)
}

fn read_per_subject(reader: &mut TableReader<'_, '_, '_>, scoped: &Scoped) -> Option<u32> {
    const KEY: &str = "per_subject_per_day";
    let quota = reader.optional(KEY, integer(1..=PER_SUBJECT_PER_DAY_MAX));
    let sleeping = scoped.purposes.contains(&Purpose::DormantAccount);
    if sleeping && quota.as_ref().is_none_or(|quota| quota.value != 1) {
        let line = quota
            .as_ref()
            .map_or_else(|| reader.line(), |quota| quota.line);
        let rule = "is 1 where `dormant_account` is among the purposes (rule R30)";
        reader.mistake(line, KEY, rule);
    }
    quota.map(|found| found.value)
}
