//! Numbers as text, without the formatting machinery: every message writes some.

/// Appends a number in decimal.
pub fn push_decimal(out: &mut Vec<u8>, number: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends the last `DIGITS` hexadecimal digits of a number, in small letters.
pub fn push_hex<const DIGITS: usize>(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; DIGITS];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(rest & 0xf) as usize];
        rest >>= 4;
    }
    out.extend_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_the_formatting_machinery_writes_them() {
        for number in [0, 7, 10, 65_535, 4_000_000_001, u32::MAX] {
            let mut out = b"n=".to_vec();
            push_decimal(&mut out, number);
            assert_eq!(out, format!("n={number}").into_bytes());
        }
        for number in [0, 0xf, 0xdead_beef, u64::MAX] {
            let mut out = Vec::new();
            push_hex::<16>(&mut out, number);
            push_hex::<8>(&mut out, number & 0xffff_ffff);
            let expected = format!("{number:016x}{:08x}", number & 0xffff_ffff);
            assert_eq!(out, expected.into_bytes());
        }
    }
}
