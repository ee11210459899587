//! Entries as twenty banks would leave them.

use accord_proto::{
    reason::Reason,
    signal::Signal,
    v1::{self, entry::Event},
};
use prost::Message as _;

/// Numbers that look random and are the same each time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) const fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let at = usize::try_from(self.below(of.len() as u64)).unwrap_or(0);
        of.get(at).copied()
    }
}

/// An access as the path makes one. The first bank never asks because of a complaint, and all others
/// often do; the last bank asks one question of ten thousand.
pub(super) fn entry(dice: &mut Dice, subjects: u64) -> Vec<u8> {
    let bank = match dice.below(10_000) {
        0 => 19,
        roll => (roll % 19) * (roll % 7) / 7,
    };
    let purposes = [
        v1::Purpose::Payment,
        v1::Purpose::Login,
        v1::Purpose::OtpSend,
        v1::Purpose::Complaint,
    ];
    let purposes = if bank == 0 {
        purposes.get(..3)
    } else {
        Some(purposes.as_slice())
    };
    let purpose = dice.pick(purposes.unwrap_or_default());
    let operator = dice.pick(&["north-mobile", "north-mobile", "sud-mobile", "west-mobile"]);
    let signal = dice
        .pick(Signal::ALL)
        .map_or(0, |signal| signal.to_wire() as i32);
    let reason = match dice.below(1_000) {
        0 => Some(Reason::Quota),
        1..100 => Some(Reason::Timeout),
        _ => None,
    };
    let clause = dice.below(15);
    let record = v1::SignalRecord {
        signal,
        reason: reason.map_or(0, |reason| reason.to_wire() as i32),
        clause: format!("3.{clause}"),
        granularity: "yes_no".to_owned(),
        threshold_hours: 72,
        ..v1::SignalRecord::default()
    };
    let access = v1::Access {
        bank: format!("bank-{bank}"),
        application: "accord-bench".to_owned(),
        operator: operator.unwrap_or_default().to_owned(),
        routing_basis: v1::RoutingBasis::Prefix as i32,
        purpose: purpose.map_or(0, |purpose| purpose as i32),
        agreement: "BENCH".to_owned(),
        agreement_version: 1,
        subject_tag: tag(dice.below(subjects)).to_vec(),
        tag_month: "2026-11".to_owned(),
        request_id_mac: vec![0x55; 16],
        signals: vec![record],
        answer_digest: vec![0x55; 32],
        ..v1::Access::default()
    };
    v1::Entry {
        salt: vec![0x55; 32],
        event: Some(Event::Access(access)),
        time_unix_ms: 0,
    }
    .encode_to_vec()
}

/// A tag as a keyed digest would be: bits without an order.
pub(super) fn tag(subject: u64) -> [u8; 16] {
    let mix = |number: u64| {
        let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)).to_be_bytes()
    };
    let halves = [mix(subject + 1), mix(subject + (1 << 40))];
    let mut tag = [0; 16];
    for (to, from) in tag.iter_mut().zip(halves.iter().flatten()) {
        *to = *from;
    }
    tag
}
