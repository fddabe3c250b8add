//! Link-layer addresses of six octets, as Go's parser reads them.

/// `02:00:0a:01:00:05`, `02-00-0a-01-00-05` or `0200.0a01.0005`, of one device: neither zero nor
/// a group's, which no device may have.
pub(crate) fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let digits = digits(text)?;
    let mut octets = [0; 6];
    for (octet, pair) in octets.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    let group = octets.first().is_some_and(|first| first & 1 == 1);
    (!group && octets != [0; 6]).then_some(octets)
}

/// The twelve digits, if the text has one of the three shapes.
fn digits(text: &str) -> Option<String> {
    let (separator, width) = [(':', 2), ('-', 2), ('.', 4)]
        .into_iter()
        .find(|(separator, _)| text.contains(*separator))?;
    let parts: Vec<&str> = text.split(separator).collect();
    let hex = |part: &&str| part.len() == width && part.bytes().all(|b| b.is_ascii_hexdigit());
    (parts.len() * width == 12 && parts.iter().all(hex)).then(|| parts.concat())
}

/// As the kernel's tools write it.
pub(crate) fn render_mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}
