//! Block numbers: 64 bits here, 16 on the wire, and what follows 65535 there [T7].

/// The block number after 65535. No RFC says; nearly all clients expect 0, a few count on from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rollover {
    /// 65535 is followed by 0.
    #[default]
    Zero,
    /// 65535 is followed by 1: 0 stays the number that confirms an OACK.
    One,
}

impl Rollover {
    /// The number of block `block` on the wire. Block 0 is none: its number confirms the options.
    pub fn on_wire(self, block: u64) -> u16 {
        match (self, block) {
            // Only here does a block number lose its upper bits.
            (Self::Zero, _) => block as u16,
            (Self::One, 0) => 0,
            (Self::One, _) => ((block - 1) % u64::from(u16::MAX) + 1) as u16,
        }
    }

    /// How many blocks further than `confirmed` an ACK with this number is. An old ACK gives a huge distance, and
    /// so does a number that no block can have.
    pub fn advance(self, confirmed: u64, number: u16) -> u64 {
        let here = self.on_wire(confirmed);
        match self {
            Self::Zero => u64::from(number.wrapping_sub(here)),
            Self::One if number == here => 0,
            Self::One if number == 0 => u64::MAX,
            // The numbers in use are a circle of 65535, whatever stands before its first.
            Self::One if number > here => u64::from(number - here),
            Self::One => u64::from(u16::MAX) - u64::from(here - number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// [T7]
    #[test]
    fn the_number_after_65535_is_0_or_1() {
        let numbers = |rollover: Rollover| [65_534, 65_535, 65_536, 65_537].map(|n| rollover.on_wire(n));
        assert_eq!(numbers(Rollover::Zero), [65_534, 65_535, 0, 1]);
        assert_eq!(numbers(Rollover::One), [65_534, 65_535, 1, 2]);
        assert_eq!(Rollover::One.on_wire(0), 0);
        assert_eq!(Rollover::One.advance(70_000, 0), u64::MAX, "no block has the number 0");
    }

    proptest! {
        /// [T7]
        #[test]
        fn an_acknowledgement_leads_to_the_block_it_means(confirmed in 0..300_000u64, ahead in 0..30_000u64) {
            for rollover in [Rollover::Zero, Rollover::One] {
                let number = rollover.on_wire(confirmed + ahead);
                prop_assert_eq!(rollover.advance(confirmed, number), ahead, "{:?}", rollover);
            }
        }
    }
}
