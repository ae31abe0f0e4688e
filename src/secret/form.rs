//! The forms in which a whole secret may be written: as its bytes in some character set, in hexadecimal, base32 and base64.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A longer secret is key material or the like, of which the rarer forms are left out.
const LONG: usize = 128;

/// One that is not shorter is a line of a key or the like, and nobody lists its bytes.
const LISTED: usize = 64;

/// All forms of a secret.
pub(super) fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    let mut written = vec![secret.as_bytes().to_vec()];
    if secret.len() <= LONG {
        let units: Vec<u16> = secret.encode_utf16().collect();
        let wide = [u16::to_le_bytes, u16::to_be_bytes]
            .map(|bytes| units.iter().flat_map(|&unit| bytes(unit)).collect::<Vec<u8>>());
        if !secret.is_ascii() {
            // Of ASCII every other byte is a NUL, and those are not read anyway.
            forms.extend(wide.clone());
            let narrow: Option<Vec<u8>> = secret.chars().map(|char| u8::try_from(char).ok()).collect();
            forms.extend(narrow.clone());
            written.extend(narrow);
        }
        written.extend(wide);
    }
    if secret.len() < LISTED {
        in_lists(secret.as_bytes(), &mut forms);
    }
    for bytes in &written {
        in_hex(bytes, secret.len() <= LONG, &mut forms);
        in_base32(bytes, &mut forms);
        in_base64(bytes, &mut forms);
    }
    forms
}

fn in_hex(bytes: &[u8], is_short: bool, forms: &mut Vec<Vec<u8>>) {
    for case in [|byte: &u8| format!("{byte:02x}"), |byte: &u8| format!("{byte:02X}")] {
        let pairs: Vec<String> = bytes.iter().map(case).collect();
        forms.push(pairs.concat().into_bytes());
        if is_short {
            forms.extend([":", " ", "-"].map(|between| pairs.join(between).into_bytes()));
        }
    }
}

/// As the numbers of its bytes: `[112 64 115]`, `[112, 64, 115]`, `0x70, 0x40`, `70,40`, in octal, `160 100`,
/// and in the groups of `xxd`, `7040 73`.
fn in_lists(bytes: &[u8], forms: &mut Vec<Vec<u8>>) {
    for case in [|byte: &u8| format!("{byte:02x}"), |byte: &u8| format!("{byte:02X}")] {
        let pairs: Vec<String> = bytes.iter().map(case).collect();
        forms.extend([",", ", ", ",0x", ", 0x", " 0x"].map(|between| pairs.join(between).into_bytes()));
        for lead in 0..2 {
            let groups = pairs[lead..].chunks(2).map(<[String]>::concat);
            let groups: Vec<String> = pairs[..lead].iter().cloned().chain(groups).collect();
            forms.push(groups.join(" ").into_bytes());
        }
    }
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    forms.extend([" ", ",", ", "].map(|between| numbers.join(between).into_bytes()));
    let octal: Vec<String> = bytes.iter().map(|byte| format!("{byte:03o}")).collect();
    forms.extend([" ", ",", ", ", " 0", ",0", ", 0", ", 0o"].map(|between| octal.join(between).into_bytes()));
}

fn in_base32(bytes: &[u8], forms: &mut Vec<Vec<u8>>) {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    for lead in 0..5_usize {
        let bits: Vec<u8> = std::iter::repeat_n(&0_u8, lead)
            .chain(bytes)
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
            .collect();
        let letters = bits.chunks_exact(5).map(|bits| bits.iter().fold(0, |value, bit| value * 2 + bit));
        // What the bytes before it decide is not part of the secret's own text.
        let text: Vec<u8> = letters.map(|value| LETTERS[usize::from(value)]).skip((lead * 8).div_ceil(5)).collect();
        forms.push(text.to_ascii_lowercase());
        forms.push(text);
    }
}

fn in_base64(bytes: &[u8], forms: &mut Vec<Vec<u8>>) {
    for lead in 0..3_usize {
        let mut shifted = vec![0_u8; lead];
        shifted.extend_from_slice(bytes);
        // What the bytes before and after it decide is not part of the secret's own text.
        let skip = [0, 2, 3][lead];
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(&shifted);
            // All that is its own; and the whole groups alone, for what ends with them.
            for own in [shifted.len() * 8 / 6, shifted.len() / 3 * 4] {
                forms.push(text.as_bytes()[skip..own.max(skip)].to_vec());
            }
        }
    }
}
