//! Comments, as nft(8) keeps and shows them: records of a kind, a length and octets.
//!
//! It takes 127 octets as a comment; what is longer goes on in a record of our own.

/// NFTNL_UDATA_SET_ELEM_COMMENT, NFTNL_UDATA_RULE_COMMENT.
const COMMENT: u8 = 0;
/// Passed over by nft(8), which knows the kinds below 3.
const REST: u8 = 0xf7;
/// Without the zero at its end.
const LONGEST_COMMENT: usize = 127;
/// Less than NFT_USERDATA_MAXLEN: the kernel counts an element's, and the count itself, in
/// an octet; it refuses 255, and takes 256 for none.
const LONGEST: usize = 254;

/// `None` where it is too long for the kernel.
pub(crate) fn write(comment: &str) -> Option<Vec<u8>> {
    let cut = comment.floor_char_boundary(LONGEST_COMMENT);
    let (shown, rest) = comment.split_at(cut);
    let mut bytes = vec![COMMENT, u8::try_from(shown.len() + 1).ok()?];
    bytes.extend(shown.as_bytes());
    bytes.push(0);
    if !rest.is_empty() {
        bytes.extend([REST, u8::try_from(rest.len()).ok()?]);
        bytes.extend(rest.as_bytes());
    }
    (bytes.len() <= LONGEST).then_some(bytes)
}

/// Empty where there is none.
pub(crate) fn read(mut bytes: &[u8]) -> String {
    let (mut comment, mut rest) = (Vec::new(), Vec::new());
    while let [kind, length, behind @ ..] = bytes {
        let Some((content, next)) = behind.split_at_checked(usize::from(*length)) else {
            break;
        };
        match *kind {
            COMMENT => comment = content.strip_suffix(&[0]).unwrap_or(content).to_vec(),
            REST => rest = content.to_vec(),
            _ => {}
        }
        bytes = next;
    }
    comment.extend(rest);
    String::from_utf8_lossy(&comment).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_of_every_length_come_back() {
        for length in 0..=249 {
            let comment: String = ('a'..='z').cycle().take(length).collect();
            assert_eq!(read(&write(&comment).unwrap()), comment);
        }
        assert_eq!(write(&"a".repeat(250)), None);
        let wide = "ü".repeat(124);
        assert_eq!(read(&write(&wide).unwrap()), wide);
    }

    #[test]
    fn strange_octets_are_no_comment() {
        assert_eq!(read(&[]), "");
        assert_eq!(read(&[0]), "");
        assert_eq!(read(&[0, 200, 1]), "");
        assert_eq!(read(&[9, 1, 7, 0, 2, b'x', 0]), "x");
    }
}
