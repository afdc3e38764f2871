//! Numbers as people read them.

/// A time, with one decimal below ten.
pub(super) fn milliseconds(us: u32) -> String {
    if us < 10_000 { format!("{}.{} ms", us / 1_000, us % 1_000 / 100) } else { format!("{} ms", us / 1_000) }
}

/// A chance, rounded down: never 100 unless it is certain.
pub(super) fn percent(ppm: u32) -> String {
    (ppm / 10_000).to_string()
}

/// To two digits.
pub(super) fn rounded(number: u32) -> u32 {
    let unit = 10_u32.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    number.saturating_add(unit / 2) / unit * unit
}

/// With commas.
pub(super) fn thousands(number: u32) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(rounded(53_710)), "54,000");
        assert_eq!(thousands(rounded(426)), "430");
        assert_eq!((rounded(0), rounded(7), rounded(u32::MAX)), (0, 7, 4_200_000_000));
        assert_eq!((thousands(999), thousands(1_234_567)), ("999".into(), "1,234,567".into()));
        assert_eq!((milliseconds(2_440), milliseconds(54_600)), ("2.4 ms".into(), "54 ms".into()));
        assert_eq!((percent(999_712), percent(1_000_000)), ("99".into(), "100".into()));
    }
}
