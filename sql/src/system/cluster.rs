//! Views of what is there once: the database, settings, access methods.

use super::record::Records;
use super::{
    AM_BTREE_OID, AM_HASH_OID, AM_HEAP_OID, COLLATION_C_OID, COLLATION_DEFAULT_OID, LANGUAGE_INTERNAL_OID,
    LANGUAGE_SQL_OID, OWNER_OID, World, roles,
};
use crate::catalog::PG_CATALOG_OID;
use crate::catalog::access::Object;

/// `pg_encoding_to_char(6)`
pub(super) const ENCODING_UTF8: i32 = 6;

pub(super) const TABLESPACE_DEFAULT_OID: u32 = 1663;
pub(super) const TABLESPACE_GLOBAL_OID: u32 = 1664;

pub(super) fn pg_database(world: &World<'_>, records: &mut Records<'_>) {
    for database in world.catalog.databases().iter() {
        let object = Object::Database(database.oid);
        records.push(&[
            ("oid", database.oid.into()),
            ("datname", (&database.name).into()),
            ("datdba", world.catalog.access().object(object).owner.into()),
            ("encoding", ENCODING_UTF8.into()),
            ("datlocprovider", "c".into()),
            ("datistemplate", database.is_template.into()),
            ("datallowconn", database.allows_connections.into()),
            ("datconnlimit", database.connection_limit.into()),
            ("dattablespace", TABLESPACE_DEFAULT_OID.into()),
            ("datcollate", "C".into()),
            ("datctype", "C".into()),
            ("datacl", roles::acl(world.catalog, object)),
        ]);
    }
}

pub(super) fn pg_extension(world: &World<'_>, records: &mut Records<'_>) {
    for (object, version) in world.catalog.objects().extensions() {
        let owner = world.catalog.access().object(Object::Extension(object.oid)).owner;
        records.push(&[
            ("oid", object.oid.into()),
            ("extname", (&object.name).into()),
            ("extowner", owner.into()),
            ("extnamespace", world.catalog.objects().schema_oid(&object.schema).into()),
            ("extrelocatable", true.into()),
            ("extversion", version.into()),
        ]);
    }
}

pub(super) fn pg_am(records: &mut Records<'_>) {
    let methods = [(AM_HEAP_OID, "heap", "t"), (AM_BTREE_OID, "btree", "i"), (AM_HASH_OID, "hash", "i")];
    for (oid, name, kind) in methods {
        records.push(&[("oid", oid.into()), ("amname", name.into()), ("amtype", kind.into())]);
    }
}

pub(super) fn pg_tablespace(records: &mut Records<'_>) {
    for (oid, name) in [(TABLESPACE_DEFAULT_OID, "pg_default"), (TABLESPACE_GLOBAL_OID, "pg_global")] {
        records.push(&[("oid", oid.into()), ("spcname", name.into()), ("spcowner", OWNER_OID.into())]);
    }
}

pub(super) fn pg_language(records: &mut Records<'_>) {
    for (oid, name, is_trusted) in
        [(LANGUAGE_INTERNAL_OID, "internal", false), (LANGUAGE_SQL_OID, "sql", true)]
    {
        records.push(&[
            ("oid", oid.into()),
            ("lanname", name.into()),
            ("lanowner", OWNER_OID.into()),
            ("lanpltrusted", is_trusted.into()),
        ]);
    }
}

pub(super) fn pg_collation(records: &mut Records<'_>) {
    for (oid, name, provider, locale) in [
        (COLLATION_DEFAULT_OID, "default", "d", None),
        (COLLATION_C_OID, "C", "c", Some("C")),
        (951, "POSIX", "c", Some("POSIX")),
    ] {
        records.push(&[
            ("oid", oid.into()),
            ("collname", name.into()),
            ("collnamespace", PG_CATALOG_OID.into()),
            ("collowner", OWNER_OID.into()),
            ("collprovider", provider.into()),
            ("collisdeterministic", true.into()),
            ("collencoding", (-1).into()),
            ("collcollate", locale.into()),
            ("collctype", locale.into()),
        ]);
    }
}

pub(super) fn pg_settings(world: &World<'_>, records: &mut Records<'_>) {
    for setting in world.settings.all() {
        let kind = setting.definition.map_or("string", |definition| definition.kind.type_name());
        let context = setting.definition.map_or("user", |definition| definition.context.name());
        records.push(&[
            ("name", setting.name.into()),
            ("setting", (&**setting.value).into()),
            ("category", "Nunatak".into()),
            ("short_desc", setting.definition.map_or("", |definition| definition.description).into()),
            ("context", context.into()),
            ("vartype", kind.into()),
            ("source", if setting.value == setting.reset { "default" } else { "session" }.into()),
            ("boot_val", setting.definition.map(|definition| definition.default).into()),
            ("reset_val", (&**setting.reset).into()),
            ("pending_restart", false.into()),
        ]);
    }
}
