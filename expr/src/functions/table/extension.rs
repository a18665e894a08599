//! Functions of extensions, by OIDs of our own: PostgreSQL gives them one when the extension is created. They are there once
//! it is.

use super::super::{digest, similar, uuid_made};
use super::function;
use crate::functions::Body::{Many, One, Two};
use crate::functions::Function;
use crate::types::kinds::{Bytea, Float4, Int4, Text, TextArray, Uuid};

const UUID: &str = "uuid-ossp";
const CRYPTO: &str = "pgcrypto";
const TRIGRAMS: &str = "pg_trgm";

pub(super) const FUNCTIONS: &[Function] = &[
    function(9701, "uuid_nil", &[], Uuid, Many(uuid_made::nil)).of_extension(UUID),
    function(9702, "uuid_ns_dns", &[], Uuid, Many(uuid_made::dns)).of_extension(UUID),
    function(9703, "uuid_ns_url", &[], Uuid, Many(uuid_made::url)).of_extension(UUID),
    function(9704, "uuid_ns_oid", &[], Uuid, Many(uuid_made::oid)).of_extension(UUID),
    function(9705, "uuid_ns_x500", &[], Uuid, Many(uuid_made::x500)).of_extension(UUID),
    function(9706, "uuid_generate_v1", &[], Uuid, Many(uuid_made::by_time)).volatile().of_extension(UUID),
    function(9707, "uuid_generate_v1mc", &[], Uuid, Many(uuid_made::by_time)).volatile().of_extension(UUID),
    function(9708, "uuid_generate_v3", &[Uuid, Text], Uuid, Two(uuid_made::by_md5)).of_extension(UUID),
    function(9709, "uuid_generate_v4", &[], Uuid, Many(uuid_made::by_chance)).volatile().of_extension(UUID),
    function(9710, "uuid_generate_v5", &[Uuid, Text], Uuid, Two(uuid_made::by_sha1)).of_extension(UUID),
    function(9721, "digest", &[Text, Text], Bytea, Two(digest::digest)).of_extension(CRYPTO),
    function(9722, "digest", &[Bytea, Text], Bytea, Two(digest::digest)).of_extension(CRYPTO),
    function(9723, "hmac", &[Text, Text, Text], Bytea, Many(digest::hmac)).of_extension(CRYPTO),
    function(9724, "hmac", &[Bytea, Bytea, Text], Bytea, Many(digest::hmac)).of_extension(CRYPTO),
    function(9725, "gen_random_bytes", &[Int4], Bytea, One(digest::random_bytes))
        .volatile()
        .of_extension(CRYPTO),
    function(9741, "similarity", &[Text, Text], Float4, Two(similar::similarity)).of_extension(TRIGRAMS),
    function(9742, "show_trgm", &[Text], TextArray, One(similar::show)).of_extension(TRIGRAMS),
];
