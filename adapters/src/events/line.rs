//! What events have told of one number.
//!
//! Events come twice, late and in any order. So the state is a register for each fact, which keeps
//! the newest by the event's own time: applying an event again, or two in another order, leaves the
//! same state, and nothing but the state need be remembered.

use accord_proto::observation::{AttackKind, ForwardingCondition, SwapKind};

use super::envelope::{Begun, Forward, Happened};

/// Microseconds since 1970, UTC; zero: it never happened.
pub(super) type Micros = i64;

/// The newest of a fact: its time, and a code that says more. Of two at the same time the greater
/// code stays, whichever came first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Newest {
    pub(super) at: Micros,
    pub(super) code: u8,
}

impl Newest {
    fn take(&mut self, at: Micros, code: u8) -> bool {
        let new = Self { at, code };
        let newer = new > *self;
        if newer {
            *self = new;
        }
        newer
    }
}

/// How many registers a line has.
pub(super) const REGISTERS: usize = 11;

/// The registers. Their order is the order on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) sim: Newest,
    pub(super) device: Newest,
    pub(super) begun: Newest,
    pub(super) ceased: Newest,
    pub(super) ported_out: Newest,
    pub(super) forwards: [Newest; 4],
    pub(super) alarm_passed: Newest,
    pub(super) alarm_blocked: Newest,
}

/// `begun`: the holder came with the number.
pub(super) const BEGUN_PORT: u8 = 1;
const BEGUN_NEW: u8 = 2;

impl Line {
    /// Takes an event in. True if it changed anything.
    pub(super) fn take(&mut self, happened: Happened, at: Micros) -> bool {
        match happened {
            Happened::Activate(begun) => {
                let kind = match begun {
                    Begun::NewLine => SwapKind::NewLine,
                    Begun::NumberChange => SwapKind::NumberChange,
                };
                let sim = self.sim.take(at, swap_code(Some(kind)));
                self.begun.take(at, BEGUN_NEW) || sim
            }
            Happened::Cease => self.ceased.take(at, 0),
            Happened::DeviceChange => self.device.take(at, 0),
            Happened::Forwarding(condition, forward) => {
                let mut changed = false;
                for (of, register) in ForwardingCondition::ALL.iter().zip(&mut self.forwards) {
                    if condition.is_none_or(|one| one == *of) {
                        changed |= register.take(at, forward_code(forward));
                    }
                }
                changed
            }
            Happened::PortIn => {
                let sim = self.sim.take(at, swap_code(Some(SwapKind::PortIn)));
                self.begun.take(at, BEGUN_PORT) || sim
            }
            Happened::PortOut => self.ported_out.take(at, 0),
            Happened::SignallingAlarm { kind, passed } => {
                let register = if passed {
                    &mut self.alarm_passed
                } else {
                    &mut self.alarm_blocked
                };
                register.take(at, alarm_code(kind))
            }
            Happened::SimSwap(kind) => self.sim.take(at, swap_code(kind)),
        }
    }

    /// All registers, in the order on disk.
    pub(super) const fn registers(&self) -> [Newest; REGISTERS] {
        let [one, two, three, four] = self.forwards;
        [
            self.sim,
            self.device,
            self.begun,
            self.ceased,
            self.ported_out,
            one,
            two,
            three,
            four,
            self.alarm_passed,
            self.alarm_blocked,
        ]
    }

    /// From all registers, in the order on disk.
    pub(super) const fn from_registers(registers: [Newest; REGISTERS]) -> Self {
        let [
            sim,
            device,
            begun,
            ceased,
            ported_out,
            one,
            two,
            three,
            four,
            alarm_passed,
            alarm_blocked,
        ] = registers;
        Self {
            sim,
            device,
            begun,
            ceased,
            ported_out,
            forwards: [one, two, three, four],
            alarm_passed,
            alarm_blocked,
        }
    }
}

/// A number for a kind of swap: its wire number, zero where it is not known.
fn swap_code(kind: Option<SwapKind>) -> u8 {
    kind.map_or(0, |kind| {
        u8::try_from(kind.to_wire() as i32).unwrap_or_default()
    })
}

/// The kind of a swap.
pub(super) fn swap_kind(code: u8) -> Option<SwapKind> {
    SwapKind::from_wire(i32::from(code))
}

/// Of what is set and cleared at the same time, what is set stays: unknown is never *no*.
const fn forward_code(forward: Forward) -> u8 {
    match forward {
        Forward::Cleared => 1,
        Forward::OwnVoicemail => 2,
        Forward::Unknown => 3,
        Forward::AnotherNumber => 4,
    }
}

/// What a code of forwarding means; `None`: nothing was told.
pub(super) const fn forward(code: u8) -> Option<Forward> {
    match code {
        1 => Some(Forward::Cleared),
        2 => Some(Forward::OwnVoicemail),
        3 => Some(Forward::Unknown),
        4 => Some(Forward::AnotherNumber),
        _ => None,
    }
}

const fn alarm_code(kind: AttackKind) -> u8 {
    match kind {
        AttackKind::Tracking => 1,
        AttackKind::Interception => 2,
        AttackKind::LocationHijack => 3,
    }
}

/// What a code of an alarm means.
pub(super) const fn attack_kind(code: u8) -> Option<AttackKind> {
    match code {
        1 => Some(AttackKind::Tracking),
        2 => Some(AttackKind::Interception),
        3 => Some(AttackKind::LocationHijack),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every order of these, and every one of them twice, must give the same.
    #[test]
    fn order_and_duplicates_change_nothing() {
        let events = [
            (Happened::Activate(Begun::NewLine), 10),
            (Happened::SimSwap(Some(SwapKind::Replacement)), 40),
            (Happened::SimSwap(None), 40),
            (Happened::SimSwap(Some(SwapKind::Esim)), 30),
            (Happened::Forwarding(None, Forward::Cleared), 20),
            (
                Happened::Forwarding(Some(ForwardingCondition::Busy), Forward::AnotherNumber),
                20,
            ),
            (Happened::PortOut, 50),
        ];
        let mut expected: Option<Line> = None;
        let mut order: Vec<usize> = (0..events.len()).collect();
        permute(&mut order, 0, &mut |order| {
            let mut line = Line::default();
            for index in order.iter().chain(order) {
                let (happened, at) = events[*index];
                line.take(happened, at);
            }
            assert_eq!(*expected.get_or_insert(line), line, "{order:?}");
        });
        let line = expected.unwrap();
        assert_eq!(swap_kind(line.sim.code), Some(SwapKind::Replacement));
        let busy = ForwardingCondition::ALL
            .iter()
            .position(|of| *of == ForwardingCondition::Busy)
            .unwrap();
        assert_eq!(
            forward(line.forwards[busy].code),
            Some(Forward::AnotherNumber)
        );
        assert_eq!(Line::from_registers(line.registers()), line);
    }

    fn permute(order: &mut Vec<usize>, from: usize, each: &mut impl FnMut(&[usize])) {
        if from == order.len() {
            each(order);
            return;
        }
        for index in from..order.len() {
            order.swap(from, index);
            permute(order, from + 1, each);
            order.swap(from, index);
        }
    }
}
