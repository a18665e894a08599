//! What all sessions of a gateway share: the cluster's client, the cached catalog, the store of row ids.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use audit::AuditLog;
use backup::Places;
use client::{Client, TransactionOptions};
use env::clock;
use env::task::boxed;
use parking_lot::Mutex;
use scram::{MockSecret, Verifier};

use super::table_sizes::{MeasuredSizes, pretended};
use crate::activity::Roster;
use crate::catalog::access::{Object, Right, Rights, RoleDescriptor};
use crate::catalog::{CatalogSnapshot, FIRST_DATABASE_OID, IndexId, Oid, TableDescriptor};
use crate::error::{Error, Result};
use crate::execute::advisory::HeldLocks;
use crate::execute::ddl::{load_catalog, reclaim_dropped, run_schedules, watch_builds};
use crate::execute::memory::{Memory, MemoryPool};
use crate::execute::row_ids::RowIds;
use crate::execute::temporary::{TemporaryOptions, TemporarySpace};
use crate::keeper::Keeper;
use crate::notify::Bulletin;
use crate::optimise::{Rules, TableSizes};
use crate::sequence::SequenceStore;
use crate::session::{Session, SessionParameters};
use crate::settings::{GatewayBounds, bounds_of_gateways, defaults_of_sessions};
use crate::system;

/// Bounds of a gateway's SQL engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Bytes of rows that one statement may hold while it sorts, hashes or materialises; beyond: temporary files, or 53200.
    pub statement_bytes_max: usize,
    /// Where rows go that do not fit into it; `None`: nowhere.
    pub temporary: Option<TemporaryOptions>,
    /// Bytes of buffered writes and held locks that one transaction may take in memory; beyond: 53200.
    pub transaction_bytes_max: usize,
    /// Bytes that all statements and transactions together may hold; one that gets none ends with 53200.
    pub memory_bytes_max: usize,
    /// How often a transaction's first statement is run again after a conflict before the client hears of it.
    pub retries_max: u32,
    /// Bytes of prepared statements and portals that one session may hold by name; beyond: 53200.
    pub session_bytes_max: usize,
    /// Bytes of plans of query strings that one session keeps, in case that they come again; 0: none.
    pub texts_bytes_max: usize,
    /// Whether a query string's plan is kept when it comes for the first time, not the second.
    pub keeps_texts_at_once: bool,
    /// Whether statements over one row, named by its key, bypass the operators. Their answers are the same either way.
    pub bypasses_operators: bool,
    /// Indexes of which more bytes of keys and values have to be made are filled by ingesting them, and `CREATE INDEX` by itself
    /// on a table of which more has to be read builds its index beside others' statements. `FLASHBACK TABLE` by itself writes rows of tables
    /// that are no larger.
    pub ingest_bytes_min: usize,
    /// The rules by which plans are made.
    pub rules: Rules,
    /// Where records of what is audited go.
    pub audit: Arc<AuditLog>,
    /// Where BACKUP, RESTORE and SHOW BACKUPS find backups; at first, nowhere.
    pub backup_places: Places,
    /// For tests: tables are taken for as large as this number and their ids make them, whatever they are.
    pub pretended_sizes: Option<u64>,
    /// For tests: the statements of a string that have worked for longer than so many rows take end (57014), however fast the
    /// machine is. What is planned does not count.
    pub work_max: Option<u64>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            statement_bytes_max: 256 << 20,
            temporary: None,
            transaction_bytes_max: 1 << 30,
            memory_bytes_max: 2 << 30,
            retries_max: 10,
            session_bytes_max: 64 << 20,
            texts_bytes_max: 1 << 20,
            keeps_texts_at_once: false,
            bypasses_operators: true,
            ingest_bytes_min: 1 << 20,
            rules: Rules::ALL,
            audit: Arc::default(),
            backup_places: Places::default(),
            pretended_sizes: None,
            work_max: None,
        }
    }
}

/// The SQL engine of one gateway.
pub struct Engine {
    client: Client,
    options: EngineOptions,
    row_ids: RowIds,
    sequences: Arc<SequenceStore>,
    held_locks: Arc<HeldLocks>,
    keeper: Arc<Keeper>,
    memory: Arc<MemoryPool>,
    /// The system views, which every snapshot of the catalog knows.
    system: Vec<Arc<TableDescriptor>>,
    /// Of each database in use the newest catalog that was seen. Ranges refuse what was planned under an older one.
    catalogs: Mutex<BTreeMap<Oid, Arc<CatalogSnapshot>>>,
    /// Rises with each: who has seen this one has seen the newest.
    generation: AtomicU64,
    sizes: MeasuredSizes,
    roster: Arc<Roster>,
    bulletin: Arc<Bulletin>,
}

/// The newest catalog as a session has last seen it, and its generation.
#[derive(Default)]
pub(super) struct SeenCatalog(Option<(u64, Arc<CatalogSnapshot>)>);

impl Engine {
    /// An engine over a cluster's client.
    pub fn new(client: Client, options: EngineOptions) -> Arc<Self> {
        let roster = Arc::<Roster>::default();
        let bulletin = Bulletin::new(roster.notified().clone());
        Arc::new(Self {
            client,
            memory: MemoryPool::new(
                options.memory_bytes_max,
                options.temporary.clone().map(TemporarySpace::new),
            ),
            options,
            row_ids: RowIds::default(),
            sequences: Arc::default(),
            held_locks: Arc::default(),
            keeper: Keeper::new(),
            system: system::tables(),
            catalogs: Mutex::default(),
            generation: AtomicU64::new(0),
            sizes: MeasuredSizes::default(),
            roster,
            bulletin,
        })
    }

    /// Deletes what dropped and truncated tables and indexes have left behind, once nobody can read it any more, and takes away
    /// indexes that nobody goes on to build. Never completes; every gateway may run it, and one is enough.
    #[boxed]
    pub async fn reclaim(self: Arc<Self>) {
        futures::future::join(reclaim_dropped(&self.client), watch_builds(&self.client)).await;
    }

    /// Takes the backups that are scheduled, where they may lie. Every gateway may run it; ends at once where backups may lie nowhere,
    /// and else never.
    #[boxed]
    pub async fn back_up(self: Arc<Self>) {
        run_schedules(&self.client, &self.options.backup_places, &self.roster).await;
    }

    /// Gives back the room of the temporary tables of sessions that are gone, those of gateways that have died among them. Never
    /// completes; every gateway has to run it that has sessions with temporary tables.
    #[boxed]
    pub async fn keep(self: Arc<Self>) {
        self.keeper.run(&self.client).await;
    }

    /// What its sessions keep.
    pub(super) fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    /// Answers for the sessions here when other gateways ask. Never completes; who does not run it is not asked.
    #[boxed]
    pub async fn attend(self: Arc<Self>) {
        self.roster.attend(&self.client).await;
    }

    /// Reads notifications for the sessions here that listen. Never completes; without it they hear nothing.
    #[boxed]
    pub async fn listen(self: Arc<Self>) {
        self.bulletin.run(&self.client).await;
    }

    /// Who listens here.
    pub(super) fn bulletin(&self) -> &Arc<Bulletin> {
        &self.bulletin
    }

    /// The sessions here.
    pub(super) fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// A new session. Cheap: nothing is read before the first statement.
    ///
    /// # Errors
    /// A setting among the parameters does not exist or does not take the value.
    pub fn session(self: &Arc<Self>, parameters: SessionParameters) -> Result<Session> {
        Session::new(Arc::clone(self), parameters)
    }

    /// The cluster's client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The bounds.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The audit log.
    pub fn audit(&self) -> &AuditLog {
        &self.options.audit
    }

    /// An empty account for a statement.
    pub(crate) fn statement_memory(&self) -> Memory {
        Memory::new(self.options.statement_bytes_max, &self.memory)
    }

    /// An empty account for a plan, bounded by what all may hold.
    pub(crate) fn plan_memory(&self) -> Memory {
        Memory::new(usize::MAX, &self.memory)
    }

    /// An empty account for a transaction.
    pub(crate) fn transaction_memory(&self) -> Memory {
        Memory::new(self.options.transaction_bytes_max, &self.memory)
    }

    /// About how large tables are, by their primary indexes.
    pub(super) async fn table_sizes(&self, tables: &[IndexId]) -> TableSizes {
        match self.options.pretended_sizes {
            None => self.sizes.of(&self.client, tables).await,
            Some(seed) => pretended(seed, tables),
        }
    }

    /// What is known of a table by now is read anew.
    pub(super) fn forget_size(&self, table: IndexId) {
        self.sizes.forget(table);
    }

    pub(crate) fn row_ids(&self) -> &RowIds {
        &self.row_ids
    }

    /// The advisory locks of its sessions.
    pub(super) fn held_locks(&self) -> &Arc<HeldLocks> {
        &self.held_locks
    }

    pub(super) fn sequences(&self) -> &Arc<SequenceStore> {
        &self.sequences
    }

    /// The cached catalog, which may be out of date; read if there is none yet.
    pub(super) async fn catalog(
        &self,
        seen: &mut SeenCatalog,
        database: Oid,
    ) -> Result<Arc<CatalogSnapshot>> {
        match self.cached_catalog(seen, database) {
            Some(catalog) => Ok(catalog),
            None => self.refresh_catalog(database).await,
        }
    }

    /// The cached catalog, if there is one. Sessions share no lock as long as nothing changes.
    pub(super) fn cached_catalog(
        &self,
        seen: &mut SeenCatalog,
        database: Oid,
    ) -> Option<Arc<CatalogSnapshot>> {
        let is_newest = |generation| generation == self.generation.load(Ordering::Acquire);
        if !seen.0.as_ref().is_some_and(|(generation, _)| is_newest(*generation)) {
            let cached = self.catalogs.lock();
            let generation = self.generation.load(Ordering::Relaxed);
            // Where the catalog of any database is newer, this one's is not what it was: roles and rights are everybody's.
            let newest = cached.values().map(|catalog| catalog.version()).max();
            let known = cached.get(&database).filter(|known| Some(known.version()) == newest);
            seen.0 = known.cloned().map(|catalog| (generation, catalog));
        }
        seen.0.as_ref().map(|(_, catalog)| catalog.clone())
    }

    /// The catalog of a database as of now: one read if the cached one is still in force. 3D000 if there is none such.
    pub(crate) async fn refresh_catalog(&self, database: Oid) -> Result<Arc<CatalogSnapshot>> {
        let cached = self.catalogs.lock().get(&database).cloned();
        let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
        let mut transaction = self.client.begin(options);
        let known = cached.as_ref().map(|catalog| catalog.version());
        let loaded = load_catalog(&mut transaction, known, &self.system, database).await;
        let loaded = loaded.inspect_err(|error| self.forget_gone(database, error))?;
        transaction.rollback().await;
        match (loaded, cached) {
            (Some(loaded), _) => Ok(self.publish_catalog(Arc::new(loaded))),
            (None, Some(cached)) => Ok(cached),
            (None, None) => Err(Error::internal("the catalog was not read")),
        }
    }

    /// Caches a catalog unless a newer one is there; answers the one that is cached then.
    pub(crate) fn publish_catalog(&self, catalog: Arc<CatalogSnapshot>) -> Arc<CatalogSnapshot> {
        let mut cached = self.catalogs.lock();
        let database = catalog.database_oid();
        match cached.get(&database) {
            Some(newer) if newer.version() >= catalog.version() => newer.clone(),
            _ => {
                cached.insert(database, catalog.clone());
                self.generation.fetch_add(1, Ordering::Release);
                catalog
            }
        }
    }
}

/// A database that a client may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseMeant {
    /// Its oid.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// One can connect to it.
    pub allows_connections: bool,
    /// So many connections at once; -1: as many as there may be.
    pub connection_limit: i32,
    /// The role that asked is known, and has no right to connect to it.
    pub is_closed_to_role: bool,
    /// What settings are at first in sessions of the role that asked.
    pub defaults: Vec<(String, String)>,
    /// The role that asked is known, and no superuser.
    pub is_restricted: bool,
}

/// How long is waited for what the databases are now, before what was known is believed.
const DATABASES_PATIENCE: Duration = Duration::from_millis(300);

impl Engine {
    /// The database that a client of this role means by a name; where the cluster does not answer at once, as this gateway
    /// last heard of it.
    ///
    /// # Errors
    /// 3D000: there is none. The catalog cannot be read.
    #[boxed]
    pub async fn database(&self, name: &str, user: &str) -> Result<DatabaseMeant> {
        let newest = self.newest_catalog(FIRST_DATABASE_OID).await?;
        let missing = || Error::new("3D000", format!("database \"{name}\" does not exist"));
        let found = newest.databases().meant(name).ok_or_else(missing)?.clone();
        if found.oid != FIRST_DATABASE_OID {
            // Sessions in it are to know the role that they begin with.
            self.newest_catalog(found.oid).await?;
        }
        let access = newest.access();
        let role = access.role_named(user);
        let connects = |role: &RoleDescriptor| {
            let (object, wanted) = (Object::Database(found.oid), Rights::of(Right::Connect));
            !access.granted(&access.powers(role.oid), object, None, wanted).is_empty()
        };
        let said = role.map_or_else(Vec::new, |role| newest.defaults().in_force(found.oid, role.oid));
        Ok(DatabaseMeant {
            oid: found.oid,
            allows_connections: found.allows_connections,
            connection_limit: found.connection_limit,
            is_closed_to_role: role.is_some_and(|role| !connects(role)),
            is_restricted: role.is_some_and(|role| !role.superuser),
            defaults: defaults_of_sessions(newest.cluster_settings()).chain(said).collect(),
            name: found.name,
        })
    }

    /// The catalog of a database as of now or, where the cluster does not answer at once, as this gateway last heard of it.
    async fn newest_catalog(&self, database: Oid) -> Result<Arc<CatalogSnapshot>> {
        let cached = self.catalogs.lock().get(&database).cloned();
        let asked = self.refresh_catalog(database);
        match cached {
            None => asked.await,
            Some(cached) => match clock::timeout(DATABASES_PATIENCE, asked).await {
                Ok(Err(error)) if error.sqlstate == "3D000" => Err(error),
                Ok(Ok(newest)) => Ok(newest),
                Ok(Err(_)) | Err(_) => Ok(cached),
            },
        }
    }

    /// What the cluster's settings say of this gateway, as far as it has heard of them.
    pub fn gateway_bounds(&self) -> GatewayBounds {
        let catalog = self.catalogs.lock().get(&FIRST_DATABASE_OID).cloned();
        catalog.map_or_else(GatewayBounds::default, |catalog| bounds_of_gateways(catalog.cluster_settings()))
    }

    /// What was known of a database that is gone.
    fn forget_gone(&self, database: Oid, error: &Error) {
        if error.sqlstate == "3D000" {
            self.catalogs.lock().remove(&database);
            self.generation.fetch_add(1, Ordering::Release);
        }
    }
}

/// What a gateway has to know of a role that somebody wants to log in as.
pub struct Login {
    catalog: Arc<CatalogSnapshot>,
    role: Option<Arc<RoleDescriptor>>,
}

impl Engine {
    /// The role of this name as this gateway last heard of it, if it has; for whom is believed anyway. It takes no
    /// answer of the cluster.
    pub fn known_login(&self, name: &str) -> Option<Login> {
        let catalog = self.catalogs.lock().get(&FIRST_DATABASE_OID).cloned()?;
        let role = catalog.access().role_named(name).cloned()?;
        Some(Login { catalog, role: Some(role) })
    }

    /// The role of this name as of now.
    ///
    /// # Errors
    /// The catalog cannot be read.
    #[boxed]
    pub async fn login(&self, name: &str) -> Result<Login> {
        let catalog = self.refresh_catalog(FIRST_DATABASE_OID).await?;
        let role = catalog.access().role_named(name).cloned();
        Ok(Login { catalog, role })
    }
}

impl Login {
    /// The role, if there is one.
    pub fn role(&self) -> Option<&RoleDescriptor> {
        self.role.as_deref()
    }

    /// What a password is proven against: the role's verifier, or, if it has none that is good now, one that no password
    /// fits and that nobody can tell from a good one.
    pub fn verifier(&self, name: &str, fallback: &MockSecret) -> Verifier {
        let role = self.role.as_ref().filter(|role| {
            role.valid_until.is_none_or(|until| until == i64::MAX || expr::session::now_micros() < until)
        });
        let kept = role.and_then(|role| role.verifier.as_ref()).and_then(|kept| kept.parse().ok());
        kept.unwrap_or_else(|| {
            let secret = self.catalog.access().secret().map_or_else(|| fallback.clone(), MockSecret::new);
            Verifier::mock(&secret, name)
        })
    }

    /// Whether a role of the first name is a member of one of the second.
    pub fn is_member(&self, name: &str, of: &str) -> bool {
        let access = self.catalog.access();
        match (access.role_named(name), access.role_named(of)) {
            (Some(role), Some(of)) => {
                // A superuser is a member of what it has been let into alone.
                access.memberships().reached_from(role.oid, |_| true).contains(&of.oid)
            }
            _ => false,
        }
    }

    /// Whether the role may connect to a database.
    pub fn may_connect(&self, database: Oid) -> bool {
        let access = self.catalog.access();
        self.role.as_ref().is_some_and(|role| {
            let wanted = Rights::of(Right::Connect);
            !access.granted(&access.powers(role.oid), Object::Database(database), None, wanted).is_empty()
        })
    }
}
