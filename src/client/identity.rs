//! The identities a request carries: MAC of chaddr or option 61 type 1, UUID of option 97.

use crate::dhcp::{Packet, code};
use crate::records::{Mac, Uuid};

/// chaddr where it is an Ethernet address, else the MAC inside option 61 type 1 (InfiniBand clients leave
/// chaddr empty, RFC 4390).
pub fn mac(packet: &Packet<'_>) -> Option<Mac> {
    let chaddr = packet.chaddr();
    let from_header = (packet.hlen() == 6).then(|| Mac::new(first_six(&chaddr)?).ok()).flatten();
    from_header.or_else(|| match packet.options.get(code::CLIENT_ID)? {
        [1, mac @ ..] if mac.len() == 6 => Mac::new(first_six(mac)?).ok(),
        _ => None,
    })
}

/// Option 97 of type 0 and 16 bytes, as on the wire; EDK2 can be set to put it into chaddr with hlen 16.
pub fn uuid(packet: &Packet<'_>) -> Option<Uuid> {
    let from_option = match packet.options.get(code::UUID) {
        Some([0, uuid @ ..]) => <[u8; 16]>::try_from(uuid).ok(),
        _ => None,
    };
    let bytes = from_option.or_else(|| (packet.hlen() == 16).then(|| packet.chaddr()))?;
    Some(Uuid::from_text_order(bytes)).filter(|uuid| uuid.identifies())
}

fn first_six(bytes: &[u8]) -> Option<[u8; 6]> {
    bytes.get(..6)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::discover;

    #[test]
    fn a_uuid_of_wrong_type_or_length_or_shared_by_many_machines_is_no_identity() {
        for value in [&[1; 17][..], &[0; 5], &[0; 17]] {
            let bytes = discover(&[(97, value)]);
            assert_eq!(uuid(&Packet::parse(&bytes).unwrap()), None);
        }
        let bytes = discover(&[(97, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])]);
        assert!(uuid(&Packet::parse(&bytes).unwrap()).is_some());
    }

    #[test]
    fn with_an_empty_chaddr_the_mac_comes_from_option_61() {
        let mut bytes = discover(&[(61, &[1, 2, 0, 0, 0, 0, 9])]);
        bytes[2] = 0;
        assert_eq!(mac(&Packet::parse(&bytes).unwrap()).unwrap().to_string(), "02:00:00:00:00:09");
    }
}
