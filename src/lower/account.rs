//! The name of the account of a machine.

/// The longest name of an account that Linux, systemd and login(1) agree on.
const LONGEST: usize = 31;

/// `virtc-NAME`; what does not fit is shortened, and a hash of the name tells it from others.
pub fn of(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let whole = format!("virtc-{name}");
    if whole.len() <= LONGEST && name.chars().all(fits) {
        return whole;
    }
    let start: String = name.chars().filter(|c| fits(*c)).take(LONGEST - "virtc--12345678".len()).collect();
    format!("virtc-{start}-{:08x}", hash(name))
}

/// FNV-1a, folded to 32 bits.
fn hash(text: &str) -> u32 {
    let whole = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    (whole ^ (whole >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn names_of_accounts_fit() {
        assert_eq!(of("web-1"), "virtc-web-1");
        assert_eq!(of("a.b"), "virtc-ab-e27bcb35");
        let long = of("a machine with a rather long name, and more");
        assert_eq!((long.len(), long != of("a machine with a rather long name, and less")), (31, true));
    }
}
