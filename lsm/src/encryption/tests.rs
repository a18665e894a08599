//! Keys as text, and what a cipher refuses.

use std::path::Path;
use std::sync::Arc;

use env::disk::{Disk, MemoryDisk};

use super::{ENVELOPE_BYTES, Envelope, KeySource, Keys, MasterKey, Part, TAG_BYTES};
use crate::error::Error;

fn keys() -> Keys {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    disk.create_dir_all(Path::new("/k")).unwrap();
    Keys::open(&disk, Path::new("/k"), Some(&KeySource::Key(MasterKey::generate())), &[]).unwrap().unwrap()
}

#[test]
fn a_master_key_is_raw_or_hex_or_base64_and_nothing_else() {
    let bytes: Vec<u8> = (0..32).map(|n| n * 7 + 1).collect();
    let key = MasterKey::parse(&bytes).unwrap();
    let hex = key.to_hex();
    let base64 = "AQgPFh0kKzI5QEdOVVxjanF4f4aNlJuiqbC3vsXM09o=";
    for text in [
        hex.clone(),
        hex.to_uppercase(),
        format!(" {hex}\r\n"),
        base64.to_owned(),
        base64.trim_end_matches('=').to_owned(),
    ] {
        assert_eq!(MasterKey::parse(text.as_bytes()).unwrap(), key, "{text}");
    }
    for wrong in ["", "secret", &hex[1..], &hex.replace('1', "g"), &base64[4..], &format!("{hex}{hex}")] {
        let error = MasterKey::parse(wrong.as_bytes()).unwrap_err();
        assert!(error.contains("not a master key"), "{error}");
    }
    assert!(MasterKey::parse(&[0; 33]).is_err());
    assert_eq!(format!("{key:?}"), "MasterKey(…)");
}

#[test]
fn what_was_sealed_opens_only_where_and_as_what_it_was_sealed() {
    let keys = keys();
    let cipher = keys.new_file("table", 5).unwrap();
    let mut sealed = b"headplain bytes".to_vec();
    cipher.seal(Part::Block, 8192, 1, &mut sealed, 4).unwrap();
    assert!(sealed.starts_with(b"head"));
    assert_eq!(sealed.len(), 4 + 11 + TAG_BYTES);
    let sealed = sealed.split_off(4);
    let opens = |cipher: &super::FileCipher, part, offset, extra| {
        cipher.open(part, offset, extra, &mut sealed.clone()).map(|plain| plain.to_vec())
    };
    assert_eq!(opens(&cipher, Part::Block, 8192, 1).unwrap(), b"plain bytes");
    assert_eq!(opens(&cipher, Part::Block, 4096, 1), None);
    assert_eq!(opens(&cipher, Part::Properties, 8192, 1), None);
    assert_eq!(opens(&cipher, Part::Block, 8192, 2), None);
    let envelope = cipher.envelope();
    let same = |kind, number| keys.file(Path::new("/k/t"), envelope, kind, number).unwrap();
    assert!(opens(&same("table", 5), Part::Block, 8192, 1).is_some());
    assert_eq!(opens(&same("table", 6), Part::Block, 8192, 1), None);
    assert_eq!(opens(&same("wal", 5), Part::Block, 8192, 1), None);
    assert_eq!(opens(&keys.new_file("table", 5).unwrap(), Part::Block, 8192, 1), None);
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(cipher.open(Part::Block, 8192, 1, &mut flipped).is_none());
    }
}

#[test]
fn an_envelope_survives_encoding_and_no_flipped_bit() {
    let envelope = Envelope { data_key: 77, salt: [3; 32] };
    let bytes = envelope.encode();
    assert_eq!(bytes.len(), ENVELOPE_BYTES);
    assert_eq!(Envelope::decode(&bytes), Some(envelope));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Envelope::decode(&flipped), None);
    }
}

#[test]
fn a_file_of_an_unknown_data_key_names_the_key_store() {
    let envelope = Envelope { data_key: 0xabc, salt: [3; 32] };
    let error = keys().file(Path::new("/k/tables/1"), envelope, "table", 1).unwrap_err();
    assert!(matches!(&error, Error::Key { .. }));
    assert!(
        error.to_string().contains("0000000000000abc") && error.to_string().contains("/k/KEYS"),
        "{error}"
    );
}
