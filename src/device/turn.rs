//! The order in which families are served, made of the numbers in the table of families while virtc is compiled.

use super::FamilyId;

/// When a family is served: in which round, and before whom there.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    round: u8,
    number: u8,
    /// Which one.
    pub family: FamilyId,
}

impl Turn {
    /// A turn of a family.
    pub const fn new(round: u8, number: u8, family: FamilyId) -> Turn {
        Turn { round, number, family }
    }

    /// Whether it belongs to the round.
    pub fn is_in(self, round: u8) -> bool {
        self.round == round
    }

    const fn is_before(self, other: Turn) -> bool {
        self.round < other.round || self.round == other.round && self.number < other.number
    }
}

/// The turns in order. Two families at one place do not compile.
pub const fn in_order<const N: usize>(mut turns: [Turn; N]) -> [Turn; N] {
    let mut next = 1;
    while next < N {
        let mut at = next;
        while at > 0 && turns[at].is_before(turns[at - 1]) {
            turns.swap(at, at - 1);
            at -= 1;
        }
        assert!(at == 0 || turns[at - 1].is_before(turns[at]), "two families have one place in the order");
        next += 1;
    }
    turns
}
