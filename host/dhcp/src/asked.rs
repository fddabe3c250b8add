//! What is asked of a server.

use std::collections::BTreeMap;

/// Options of RFC 2132 and its successors, as far as they are looked at.
pub(crate) mod option {
    pub(crate) const SUBNET_MASK: u8 = 1;
    pub(crate) const ROUTERS: u8 = 3;
    pub(crate) const DNS_SERVERS: u8 = 6;
    pub(crate) const DOMAIN_NAME: u8 = 15;
    pub(crate) const STATIC_ROUTES: u8 = 33;
    pub(crate) const REQUESTED_ADDRESS: u8 = 50;
    pub(crate) const LEASE_TIME: u8 = 51;
    pub(crate) const OVERLOAD: u8 = 52;
    pub(crate) const MESSAGE_TYPE: u8 = 53;
    pub(crate) const SERVER_ID: u8 = 54;
    pub(crate) const PARAMETERS: u8 = 55;
    pub(crate) const MAX_SIZE: u8 = 57;
    pub(crate) const RENEWAL_TIME: u8 = 58;
    pub(crate) const REBINDING_TIME: u8 = 59;
    pub(crate) const CLIENT_ID: u8 = 61;
    pub(crate) const DOMAIN_SEARCH: u8 = 119;
    pub(crate) const CLASSLESS_ROUTES: u8 = 121;
}

/// What is asked for unless the configuration says otherwise. Classless routes come first, as
/// RFC 3442 asks for.
const DEFAULTS: [u8; 9] = [
    option::CLASSLESS_ROUTES,
    option::SUBNET_MASK,
    option::ROUTERS,
    option::DNS_SERVERS,
    option::DOMAIN_NAME,
    option::STATIC_ROUTES,
    option::DOMAIN_SEARCH,
    option::RENEWAL_TIME,
    option::REBINDING_TIME,
];

/// Options that say what the message itself is: not a configuration's to set.
const OURS: [u8; 8] = [
    0,
    option::REQUESTED_ADDRESS,
    option::OVERLOAD,
    option::MESSAGE_TYPE,
    option::SERVER_ID,
    option::PARAMETERS,
    option::MAX_SIZE,
    255,
];

/// The names that an option may have in a configuration: the reference plugin's.
const NAMES: [(&str, u8); 6] = [
    ("dhcp-client-identifier", option::CLIENT_ID),
    ("subnet-mask", option::SUBNET_MASK),
    ("routers", option::ROUTERS),
    ("host-name", 12),
    ("user-class", 77),
    ("vendor-class-identifier", 60),
];

/// The longest value of an option.
const LONGEST: usize = 255;

/// What is asked of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Sent as they are, by their numbers; the client id is among them.
    provide: BTreeMap<u8, Vec<u8>>,
    /// Asked for, in this order.
    request: Vec<u8>,
    /// Answers are to be broadcast: for links that do not hear what is sent to an address that
    /// they do not have yet.
    pub broadcast: bool,
}

impl Asked {
    /// The defaults, as this client.
    pub fn new(client_id: Vec<u8>) -> Self {
        let mut id = client_id;
        id.truncate(LONGEST);
        let provide = BTreeMap::from([(option::CLIENT_ID, id)]);
        Self { provide, request: DEFAULTS.to_vec(), broadcast: false }
    }

    /// The number of an option that a configuration names, by one of the reference plugin's
    /// names or by its number.
    pub fn option(name: &str) -> Option<u8> {
        let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        named.or_else(|| name.parse().ok())
    }

    /// Sends this value along; false where it is longer than an option can be, or the option is
    /// one by which the protocol itself works.
    #[must_use]
    pub fn provide(&mut self, option: u8, value: &[u8]) -> bool {
        let good = value.len() <= LONGEST && !OURS.contains(&option);
        if good {
            self.provide.insert(option, value.to_vec());
        }
        good
    }

    /// Asks for these options, and for the defaults only where `defaults` says so. The mask is
    /// always asked for: there is no address without it.
    pub fn request(&mut self, options: &[u8], defaults: bool) {
        let mut all = if defaults { DEFAULTS.to_vec() } else { vec![option::SUBNET_MASK] };
        for option in options {
            if !all.contains(option) && !matches!(*option, 0 | 255) {
                all.push(*option);
            }
        }
        self.request = all;
    }

    /// The options of a message that asks for something.
    pub(crate) fn options(&self) -> BTreeMap<u8, Vec<u8>> {
        let mut options = self.provide.clone();
        options.insert(option::PARAMETERS, self.request.clone());
        options.insert(option::MAX_SIZE, 1500_u16.to_be_bytes().to_vec());
        options
    }

    /// By which a server knows us.
    pub(crate) fn identity(&self) -> BTreeMap<u8, Vec<u8>> {
        let id = self.provide.get_key_value(&option::CLIENT_ID);
        id.map(|(number, value)| (*number, value.clone())).into_iter().collect()
    }
}

/// The client id of an attachment, exactly as the reference plugin makes it, so that a server
/// knows a container again whose node changed over.
pub fn client_id(container: &str, network: &str, ifname: &str) -> Vec<u8> {
    let text = format!("{container}/{network}/{ifname}");
    std::iter::once(0).chain(text.bytes().take(254)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_id_is_the_reference_plugins() {
        assert_eq!(client_id("abc", "net", "eth0"), b"\0abc/net/eth0");
        let long = client_id(&"x".repeat(300), "net", "eth0");
        assert_eq!(long.len(), 255);
        assert_eq!(long.first(), Some(&0));
    }

    #[test]
    fn options_have_names_and_numbers() {
        assert_eq!(Asked::option("host-name"), Some(12));
        assert_eq!(Asked::option("user-class"), Some(77));
        assert_eq!(Asked::option("42"), Some(42));
        assert_eq!(Asked::option("256"), None);
        assert_eq!(Asked::option("-1"), None);
        assert_eq!(Asked::option("ntp"), None);
    }

    #[test]
    fn what_is_provided_is_sent_and_replaces_the_client_id() {
        let mut asked = Asked::new(client_id("c", "n", "i"));
        assert!(asked.provide(12, b"web"));
        assert!(asked.provide(61, b"own"));
        let options = asked.options();
        assert_eq!(options.get(&12).map(Vec::as_slice), Some(&b"web"[..]));
        assert_eq!(options.get(&61).map(Vec::as_slice), Some(&b"own"[..]));
        assert_eq!(asked.identity().len(), 1);
    }

    #[test]
    fn what_the_protocol_works_by_is_not_to_be_provided() {
        let mut asked = Asked::new(Vec::new());
        for option in OURS {
            assert!(!asked.provide(option, b"x"), "{option}");
        }
        assert!(!asked.provide(12, &[0; 256]));
    }

    #[test]
    fn defaults_are_asked_for_unless_skipped() {
        let mut asked = Asked::new(Vec::new());
        asked.request(&[42, 3, 42], true);
        assert_eq!(asked.request, [121, 1, 3, 6, 15, 33, 119, 58, 59, 42]);
        asked.request(&[42, 0, 255], false);
        assert_eq!(asked.request, [1, 42]);
    }
}
