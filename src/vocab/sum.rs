//! Sums from which names and identifiers are derived.

/// FNV-1a with its standard seed: the same on every machine and in every release. No cryptographic strength: what is
/// derived is checked for conflicts where it matters.
pub fn sum(bytes: impl IntoIterator<Item = u8>) -> u64 {
    sum_from(0xcbf2_9ce4_8422_2325, bytes)
}

/// FNV-1a that goes on from a state.
pub fn sum_from(state: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(state, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The last `count` digits of a number to the base 36.
pub fn base36(mut number: u64, count: usize) -> String {
    let mut digits = vec![b'0'; count];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize];
        number /= 36;
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // From the reference test vectors of the algorithm.
        assert_eq!(sum(*b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(sum(*b"foobar"), 0x85944171f73967e8);
        assert_eq!(base36(35 + 36 * 36, 4), "010z");
    }
}
