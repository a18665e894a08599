//! The catalog as of one version.

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::SessionContext;

use super::access::Access;
use super::cluster_settings::ClusterSettings;
use super::comment::Comments;
use super::database::Databases;
use super::defaults::SettingDefaults;
use super::home::Home;
use super::layered::Layered;
use super::object::{Known, ObjectDescriptor, Objects};
use super::{
    FIRST_DATABASE_OID, ForeignKey, IndexDescriptor, Oid, OnCommit, TableDescriptor, ViewDescriptor, schema,
};

/// What the names of a schema's tables and indexes stand for.
type Names = BTreeMap<String, Relation>;

/// All tables, as of one catalog version.
///
/// Invariants: names of tables, sequences and indexes are distinct within a schema; oids are distinct.
#[derive(Debug, Clone, Default)]
pub struct CatalogSnapshot {
    version: u64,
    by_oid: Layered<Oid, Arc<TableDescriptor>>,
    by_name: Arc<BTreeMap<String, Arc<Names>>>,
    pub(super) access: Arc<Access>,
    pub(super) objects: Arc<Objects>,
    pub(super) comments: Arc<Comments>,
    /// What becomes of temporary tables at each commit, where that is not that they stay as they are.
    pub(super) on_commit: Arc<BTreeMap<Oid, OnCommit>>,
    /// The database whose tables and objects these are.
    database: Oid,
    databases: Arc<Databases>,
    defaults: Arc<SettingDefaults>,
    cluster_settings: Arc<ClusterSettings>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Relation {
    Table(Oid),
    Index { table: Oid, index: Oid },
}

impl CatalogSnapshot {
    /// The catalog of this version. `system` are the virtual tables.
    pub fn new(
        version: u64,
        system: impl IntoIterator<Item = Arc<TableDescriptor>>,
        tables: impl IntoIterator<Item = Arc<TableDescriptor>>,
    ) -> Self {
        let mut snapshot = Self {
            version,
            access: Arc::new(Access::initial()),
            database: FIRST_DATABASE_OID,
            ..Self::default()
        };
        system.into_iter().chain(tables).for_each(|table| snapshot.insert(table));
        snapshot
    }

    /// The version: what requests carry to say under which schema they were planned.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The same catalog as another version: what a transaction's DDL has become by its commit.
    #[must_use]
    pub fn with_version(&self, version: u64) -> Self {
        let mut settled = Self { version, ..self.clone() };
        if settled.objects.is_unsettled() {
            Arc::make_mut(&mut settled.objects).settle();
        }
        settled
    }

    /// The same catalog with this table added, or put in place of the one with its oid: what a transaction sees
    /// after its own DDL.
    #[must_use]
    pub fn with_table(&self, table: Arc<TableDescriptor>) -> Self {
        let mut changed = self.clone();
        changed.remove(table.oid);
        changed.insert(table);
        changed
    }

    /// The same catalog without this table.
    #[must_use]
    pub fn without_table(&self, oid: Oid) -> Self {
        let mut changed = self.clone();
        changed.remove(oid);
        changed
    }

    /// The same catalog with these roles and rights.
    #[must_use]
    pub fn with_access(&self, access: Arc<Access>) -> Self {
        Self { access, ..self.clone() }
    }

    /// The same catalog with this object added, or put in place of the one with its oid.
    #[must_use]
    pub fn with_object(&self, object: Arc<ObjectDescriptor>) -> Self {
        let mut changed = self.clone();
        changed.put_object(object);
        changed
    }

    /// The same catalog with all of these objects.
    #[must_use]
    pub fn with_objects(mut self, objects: impl IntoIterator<Item = Arc<ObjectDescriptor>>) -> Self {
        objects.into_iter().for_each(|object| self.put_object(object));
        self
    }

    pub(super) fn put_object(&mut self, object: Arc<ObjectDescriptor>) {
        self.remove(object.oid);
        if let Some(relation) = object.relation() {
            self.insert(Arc::new(relation));
        }
        let is_type = object.made_type().is_some();
        Arc::make_mut(&mut self.objects).put(object);
        if is_type {
            self.rename_kinds();
        }
    }

    /// Columns know what their types are called.
    fn rename_kinds(&mut self) {
        for table in self.by_oid.values_mut() {
            let now = |kind: expr::TypeKind| match kind.is_built_in() {
                true => kind,
                false => self.objects.kind(kind.oid()).unwrap_or(kind),
            };
            if table.columns.iter().any(|column| now(column.ty.kind) != column.ty.kind) {
                let table = Arc::make_mut(table);
                table.columns.iter_mut().for_each(|column| column.ty.kind = now(column.ty.kind));
            }
        }
    }

    /// The same catalog without this object.
    #[must_use]
    pub fn without_object(&self, oid: Oid) -> Self {
        let mut changed = self.clone();
        changed.remove(oid);
        Arc::make_mut(&mut changed.objects).remove(oid);
        changed
    }

    /// The same catalog as that of a database, one of these.
    #[must_use]
    pub fn in_database(self, database: Oid, databases: Arc<Databases>) -> Self {
        Self { database, databases, ..self }
    }

    /// The same catalog with these databases beside its own.
    #[must_use]
    pub fn with_databases(&self, databases: Arc<Databases>) -> Self {
        Self { databases, ..self.clone() }
    }

    /// The same catalog with these settings of sessions to come.
    #[must_use]
    pub fn with_defaults(&self, defaults: Arc<SettingDefaults>) -> Self {
        Self { defaults, ..self.clone() }
    }

    /// The same catalog with these settings of the cluster.
    #[must_use]
    pub fn with_cluster_settings(&self, cluster_settings: Arc<ClusterSettings>) -> Self {
        Self { cluster_settings, ..self.clone() }
    }

    /// The settings of the cluster that are set.
    pub fn cluster_settings(&self) -> &Arc<ClusterSettings> {
        &self.cluster_settings
    }

    /// What settings are at first.
    pub fn defaults(&self) -> &Arc<SettingDefaults> {
        &self.defaults
    }

    /// The databases of the cluster.
    pub fn databases(&self) -> &Arc<Databases> {
        &self.databases
    }

    /// The oid of the database whose catalog this is.
    pub fn database_oid(&self) -> Oid {
        self.database
    }

    /// The name of that database.
    pub fn database_name(&self) -> &str {
        self.databases.get(self.database).map_or("", |database| &database.name)
    }

    /// Where its rows stand.
    pub fn home(&self) -> Home {
        Home::of(self.database)
    }

    /// The same catalog with these comments.
    #[must_use]
    pub fn with_comments(&self, comments: Arc<Comments>) -> Self {
        Self { comments, ..self.clone() }
    }

    /// Comments on objects.
    pub fn comments(&self) -> &Arc<Comments> {
        &self.comments
    }

    /// A session that prefers nothing, and knows the types: in which kept texts are read and printed.
    pub fn plain_session(&self) -> SessionContext {
        SessionContext { catalog: Arc::new(Known(self.objects.clone())), ..SessionContext::default() }
    }

    /// What is no table: schemas, sequences, views, types.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Roles and rights.
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    pub(super) fn insert(&mut self, table: Arc<TableDescriptor>) {
        let names = Arc::make_mut(&mut self.by_name).entry(table.schema.clone()).or_default();
        let names = Arc::make_mut(names);
        names.insert(table.name.clone(), Relation::Table(table.oid));
        for index in &table.indexes {
            // The index over a row id has no name that users could know.
            if !index.name.is_empty() {
                names.insert(index.name.clone(), Relation::Index { table: table.oid, index: index.oid });
            }
        }
        match table.is_temporary() {
            true => self.by_oid.insert_own(table.oid, table),
            false => self.by_oid.insert(table.oid, table),
        }
    }

    pub(super) fn remove(&mut self, oid: Oid) {
        if let Some(table) = self.by_oid.remove(&oid)
            && let Some(names) = Arc::make_mut(&mut self.by_name).get_mut(&table.schema)
        {
            Arc::make_mut(names).retain(|_, relation| match relation {
                Relation::Table(of) | Relation::Index { table: of, .. } => *of != oid,
            });
        }
    }

    /// What the names in a schema stand for.
    pub(super) fn names(&self, schema: &str) -> Option<&Names> {
        self.by_name.get(self.objects.kept_schema(schema)).map(Arc::as_ref)
    }

    /// The table of this name in this schema.
    pub fn table(&self, schema: &str, name: &str) -> Option<&Arc<TableDescriptor>> {
        match self.names(schema)?.get(name)? {
            Relation::Table(oid) => self.by_oid.get(oid),
            Relation::Index { .. } => None,
        }
    }

    /// The first table of this name along the search path.
    pub fn find_table(&self, path: &SearchPath, name: &str) -> Option<&Arc<TableDescriptor>> {
        path.lookup(&self.objects).find_map(|schema| self.table(schema, name))
    }

    /// The index of this name in this schema, and its table.
    pub fn index(&self, schema: &str, name: &str) -> Option<(&Arc<TableDescriptor>, &IndexDescriptor)> {
        match self.names(schema)?.get(name)? {
            Relation::Table(_) => None,
            Relation::Index { table, index } => {
                let table = self.by_oid.get(table)?;
                Some((table, table.indexes.iter().find(|candidate| candidate.oid == *index)?))
            }
        }
    }

    /// Whether a table or index has this name in this schema.
    pub fn is_taken(&self, schema: &str, name: &str) -> bool {
        self.names(schema).is_some_and(|names| names.contains_key(name))
    }

    /// The oid of the table or index that this name means along the search path: what `'t'::regclass` is.
    pub fn relation_oid(&self, path: &SearchPath, schema: Option<&str>, name: &str) -> Option<Oid> {
        let found = |schema: &str| match self.names(schema)?.get(name)? {
            Relation::Table(oid) | Relation::Index { index: oid, .. } => Some(*oid),
        };
        match schema {
            Some(schema) => found(schema),
            None => path.lookup(&self.objects).find_map(found),
        }
    }

    /// The table of this oid, virtual ones included.
    pub fn table_by_oid(&self, oid: Oid) -> Option<&Arc<TableDescriptor>> {
        self.by_oid.get(&oid)
    }

    /// The index of this oid, and its table.
    pub fn index_by_oid(&self, oid: Oid) -> Option<(&Arc<TableDescriptor>, &IndexDescriptor)> {
        self.by_oid
            .values()
            .find_map(|table| table.indexes.iter().find(|index| index.oid == oid).map(|index| (table, index)))
    }

    /// The queries that are kept, of views, of materialised views and of functions: what each belongs to is, and its name.
    pub fn queries(&self) -> impl Iterator<Item = (&'static str, &str, &ViewDescriptor)> {
        let plain = self.objects.iter();
        let plain = plain.filter_map(|object| {
            let word = if object.view().is_some() { "view" } else { "function" };
            Some((word, object.name.as_str(), object.kept_query()?))
        });
        let stored = self.by_oid.values().filter_map(|table| {
            let own = table.materialised.as_ref()?;
            Some((table.kind.word(), table.name.as_str(), &own.view))
        });
        plain.chain(stored)
    }

    /// The foreign keys that reference a table, and whose they are.
    pub fn references_to(&self, parent: Oid) -> impl Iterator<Item = (&Arc<TableDescriptor>, &ForeignKey)> {
        let keys = |table| {
            let table: &Arc<TableDescriptor> = table;
            table.constraints.foreign_keys.iter().map(move |key| (table, key))
        };
        self.by_oid.values().flat_map(keys).filter(move |(_, key)| key.parent == parent)
    }

    /// Whether a table has a part in any foreign key.
    pub fn is_linked(&self, table: &TableDescriptor) -> bool {
        !table.constraints.foreign_keys.is_empty() || self.references_to(table.oid).next().is_some()
    }

    /// All tables by oid, virtual ones included.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableDescriptor>> {
        self.by_oid.values()
    }
}

/// The setting `search_path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SearchPath {
    schemas: Vec<String>,
}

impl SearchPath {
    /// A path over these schemas; those that do not exist are skipped, as in PostgreSQL.
    pub fn new(schemas: impl IntoIterator<Item = String>) -> Self {
        Self { schemas: schemas.into_iter().collect() }
    }

    /// The schemas in which relations and types are looked up: that of temporary ones comes first, then `pg_catalog`, unless
    /// the path names them, as it may that of temporary ones by its number.
    pub fn lookup(&self, objects: &Objects) -> impl Iterator<Item = &str> {
        let is_named = |own: &str| self.schemas.iter().any(|name| objects.kept_schema(name) == own);
        let unless_named = |own: &'static str| (!is_named(own)).then_some(own);
        let (temporary, system) = (unless_named(schema::TEMPORARY), unless_named(schema::PG_CATALOG));
        temporary.into_iter().chain(system).chain(self.schemas.iter().map(String::as_str))
    }

    /// The schemas that the path itself names.
    pub fn explicit(&self) -> impl Iterator<Item = &str> {
        self.schemas.iter().map(String::as_str)
    }

    /// The schema in which tables are created without naming one: the first of the path that exists. That of temporary ones is
    /// there as soon as it is wanted.
    pub fn creation(&self, objects: &Objects) -> Option<&str> {
        let exists = |name: &&str| *name == schema::TEMPORARY || objects.schema_oid(name).is_some();
        self.schemas.iter().map(String::as_str).find(exists)
    }
}

impl Default for SearchPath {
    fn default() -> Self {
        Self::new([schema::PUBLIC.to_owned()])
    }
}
