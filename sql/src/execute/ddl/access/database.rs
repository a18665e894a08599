//! CREATE, ALTER, DROP and FLASHBACK DATABASE, with PostgreSQL 15's rules of who may.
//!
//! What is dropped with a database loses its index ids, as dropped tables do, and the rows of its catalog go with it.

use std::sync::Arc;
use std::time::Duration;

use env::clock;
use futures::FutureExt as _;

use super::super::{Change, store};
use super::forbidden;
use crate::activity::ask::check_signal;
use crate::catalog::FIRST_DATABASE_OID;
use crate::catalog::access::{Object, ObjectRights};
use crate::catalog::comment::Commented;
use crate::catalog::database::{self, Database, Databases};
use crate::catalog::home::Home;
use crate::catalog::kept;
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{DatabaseOption, DatabaseStatement, Name, RoleReference};

/// Names of databases have no more bytes.
const NAME_BYTES_MAX: usize = 63;

/// How long the sessions of a database have to end that is dropped by force.
const LEAVE: Duration = Duration::from_secs(5);

/// How often it is looked whether they have.
const LOOKS: Duration = Duration::from_millis(50);

impl Change<'_, '_> {
    pub(super) async fn database(&mut self, statement: &DatabaseStatement) -> Result<()> {
        match statement {
            DatabaseStatement::Create { name, options } => self.create_database(name, options).await,
            DatabaseStatement::Alter { name, options } => {
                let mut database = self.owned_database(&name.value)?;
                set(&mut database, options);
                self.put_database(database);
                Ok(())
            }
            DatabaseStatement::Rename { name, to } => self.rename_database(name, to).await,
            DatabaseStatement::Owner { name, owner } => self.give_database(name, owner),
            DatabaseStatement::Drop { name, if_exists, force } => {
                self.drop_database(&name.value, *if_exists, *force).await
            }
            DatabaseStatement::Flashback { name, to } => self.flash_back_database(name, to).await,
        }
    }

    async fn create_database(&mut self, name: &Name, options: &[DatabaseOption]) -> Result<()> {
        let acting = self.acting()?;
        let mut owner = acting.role;
        let (mut template, mut clone) = (None, None);
        for option in options {
            match option {
                DatabaseOption::Owner(role) => owner = self.role_of(role)?.oid,
                DatabaseOption::Template(name) => template = Some(name.as_str()),
                DatabaseOption::Clone { of, moment } => clone = Some((of.as_str(), moment.as_deref())),
                _ => {}
            }
        }
        if !self.may_create_databases() {
            return Err(forbidden("permission denied to create database"));
        }
        if !acting.is_superuser && !self.catalog.access().is_member(acting.role, owner) {
            let name = self.catalog.access().role(owner).map(|role| role.name.clone()).unwrap_or_default();
            return Err(forbidden(format!("must be member of role \"{name}\"")));
        }
        let template = clone.map(|(of, _)| of).or(template).unwrap_or("template1");
        let word = if clone.is_some() { "" } else { "template " };
        let copied =
            self.catalog.databases().named(template).cloned().ok_or_else(|| {
                Error::new("3D000", format!("{word}database \"{template}\" does not exist"))
            })?;
        if !copied.is_template
            && !acting.has(self.catalog.access().object(Object::Database(copied.oid)).owner)
        {
            return Err(forbidden(format!("permission denied to copy database \"{template}\"")));
        }
        self.check_database_free(&name.value)?;
        let oid = match clone {
            None => {
                self.check_unused(&copied, "source database").await?;
                let oid = self.oid().await?;
                self.copy_database(Home::of(copied.oid), Home::of(oid)).await?;
                oid
            }
            Some((_, moment)) => {
                let oid = self.oid().await?;
                // Boxed: few statements do.
                self.clone_database(&copied, Home::of(oid), moment).boxed().await?;
                oid
            }
        };
        let mut database = Database::new(oid, &name.value);
        set(&mut database, options);
        self.put_database(database);
        // Also where the owner is whose it would be anyway: older programs must not believe that there is one database.
        self.put_rights(Object::Database(oid), ObjectRights::of_owner(owner));
        Ok(())
    }

    async fn rename_database(&mut self, name: &Name, to: &Name) -> Result<()> {
        let mut database = self.owned_database(&name.value)?;
        if !self.may_create_databases() {
            return Err(forbidden("permission denied to rename database"));
        }
        self.check_database_free(&to.value)?;
        if database.oid == self.catalog.database_oid() {
            return Err(Error::new("0A000", "current database cannot be renamed"));
        }
        self.check_unused(&database, "database").await?;
        database.name.clone_from(&to.value);
        self.put_database(database);
        Ok(())
    }

    fn give_database(&mut self, name: &Name, owner: &RoleReference) -> Result<()> {
        let database = self.owned_database(&name.value)?;
        let owner = self.owner_to_be(owner)?;
        let object = Object::Database(database.oid);
        let mut rights = ObjectRights::clone(&self.catalog.access().object(object));
        if rights.owner == owner.oid {
            return Ok(());
        }
        if !self.may_create_databases() {
            return Err(forbidden("permission denied to change owner of database"));
        }
        let from = std::mem::replace(&mut rights.owner, owner.oid);
        rights.acl.iter_mut().for_each(|acl| acl.change_owner(from, owner.oid));
        self.put_rights(object, rights);
        Ok(())
    }

    async fn drop_database(&mut self, name: &str, if_exists: bool, force: bool) -> Result<()> {
        let Some(database) = self.catalog.databases().named(name).cloned() else {
            if !if_exists {
                return Err(no_such_database(name));
            }
            let message = format!("database \"{name}\" does not exist, skipping");
            self.notice(Notice::notice("00000", message));
            return Ok(());
        };
        let database = self.owned_database(&database.name)?;
        if database.is_template {
            return Err(Error::new("42809", "cannot drop a template database"));
        }
        if database.oid == self.catalog.database_oid() {
            return Err(Error::new("55006", "cannot drop the currently open database"));
        }
        if database.oid == FIRST_DATABASE_OID || database.oid == database::TEMPLATE1_OID {
            return Err(Error::unsupported(format!(
                "dropping database \"{name}\", which every cluster has,"
            )));
        }
        if force {
            self.end_sessions(&database).await?;
        }
        self.check_unused(&database, "database").await?;
        self.remove_database(&database).await
    }

    /// What a database was at a moment is cloned and takes its name, and all that is said of it; what it was until now is put aside
    /// under another name, so that nothing is lost.
    async fn flash_back_database(&mut self, name: &Name, to: &str) -> Result<()> {
        let mut database = self.owned_database(&name.value)?;
        if !self.may_create_databases() {
            return Err(forbidden("permission denied to create database"));
        }
        if database.oid == self.catalog.database_oid() {
            return Err(Error::new("55006", "cannot flash back the currently open database"));
        }
        if database.oid == FIRST_DATABASE_OID || database.oid == database::TEMPLATE1_OID {
            let what = format!("FLASHBACK of database \"{}\", which every cluster has,", name.value);
            return Err(Error::unsupported(what).at(name.at));
        }
        self.check_unused(&database, "database").await?;
        let (from, oid) = (database.oid, self.oid().await?);
        // Boxed: few statements do.
        self.clone_database(&database, Home::of(oid), Some(to)).boxed().await?;
        for (_, row) in store::scan(self.cx.transaction, kept::span(Home::of(from))).await? {
            let (table, said) = kept::decode(&row)?;
            self.put(kept::key(Home::of(oid), table), kept::encode(table, said));
        }
        self.copy_defaults(from, oid);
        let rights = ObjectRights::clone(&self.catalog.access().object(Object::Database(from)));
        let aside = self.name_aside(&database.name);
        let message = format!("what database \"{}\" was until now is database \"{aside}\"", database.name);
        self.notice(Notice::notice("00000", message));
        let before = Database { name: aside, ..database.clone() };
        self.put_database(before);
        database.oid = oid;
        self.put_database(database);
        self.put_rights(Object::Database(oid), rights);
        Ok(())
    }

    /// A free name that says what was before.
    fn name_aside(&self, name: &str) -> String {
        let named = |number: u32| {
            let ending = if number == 1 { "_before".to_owned() } else { format!("_before_{number}") };
            let mut aside = name.to_owned();
            aside.truncate(aside.floor_char_boundary(NAME_BYTES_MAX.saturating_sub(ending.len())));
            aside + &ending
        };
        let is_free = |name: &String| self.catalog.databases().named(name).is_none();
        (1..u32::MAX).map(named).find(is_free).unwrap_or_default()
    }

    async fn remove_database(&mut self, database: &Database) -> Result<()> {
        let home = Home::of(database.oid);
        let (kinds, objects) = store::load_objects(self.cx.transaction, home).await?;
        for table in store::load_tables(self.cx.transaction, home, &kinds).await? {
            table.indexes.iter().for_each(|index| store::note_dropped(self.cx, index.id));
        }
        for object in objects {
            if let Some(sequence) = object.sequence() {
                store::note_dropped(self.cx, sequence.state);
            }
        }
        if let Some(span) = home.whole() {
            for (key, _) in store::scan(self.cx.transaction, span).await? {
                self.delete(key);
            }
        }
        self.forget_comment(Commented { class: Commented::DATABASE, oid: database.oid, column: 0 });
        self.forget_defaults(database.oid);
        self.disown(Object::Database(database.oid));
        self.delete(database::key(database.oid));
        self.change_databases(|databases| databases.remove(database.oid));
        Ok(())
    }

    fn put_database(&mut self, database: Database) {
        self.put(database::key(database.oid), database::encode(&database));
        self.change_databases(|databases| databases.put(database));
    }

    fn change_databases(&mut self, change: impl FnOnce(&mut Databases)) {
        let mut databases = Databases::clone(self.catalog.databases());
        change(&mut databases);
        self.catalog = self.catalog.with_databases(Arc::new(databases));
    }

    fn may_create_databases(&self) -> bool {
        let acting = self.role_named(&self.cx.session.current_user);
        acting.is_ok_and(|role| role.superuser || role.create_database)
    }

    fn check_database_free(&self, name: &str) -> Result<()> {
        match self.catalog.databases().named(name) {
            Some(_) => Err(Error::new("42P04", format!("database \"{name}\" already exists"))),
            None => Ok(()),
        }
    }

    /// The database of this name.
    pub(super) fn database_named(&self, name: &str) -> Result<Database> {
        self.catalog.databases().named(name).cloned().ok_or_else(|| no_such_database(name))
    }

    /// The same, which the acting role owns.
    pub(super) fn owned_database(&self, name: &str) -> Result<Database> {
        let database = self.database_named(name)?;
        if !self.catalog.access().owns(&self.acting()?, Object::Database(database.oid)) {
            return Err(forbidden(format!("must be owner of database {name}")));
        }
        Ok(database)
    }

    /// 55006 if anybody else is connected to it, through whichever gateway.
    async fn check_unused(&mut self, database: &Database, what: &str) -> Result<()> {
        let (roster, own) = (self.cx.roster, self.cx.session.backend_pid);
        let everyone = roster.everyone(self.cx.client).await?;
        let sessions = everyone.of_database(&database.name);
        let sessions = sessions.iter().filter(|session| session.pid != own).count();
        let (is, session) = if sessions == 1 { ("is", "session") } else { ("are", "sessions") };
        match sessions {
            0 => Ok(()),
            _ => Err(Error::new(
                "55006",
                format!("{what} \"{}\" is being accessed by other users", database.name),
            )
            .detail(format!("There {is} {sessions} other {session} using the database."))),
        }
    }

    /// Ends the sessions in a database.
    async fn end_sessions(&mut self, database: &Database) -> Result<()> {
        let (roster, acting) = (self.cx.roster, self.acting()?);
        let until = clock::now() + LEAVE;
        loop {
            let everyone = roster.everyone(self.cx.client).await?;
            let sessions = everyone.of_database(&database.name);
            if sessions.is_empty() || clock::now() >= until {
                return Ok(());
            }
            // All or none.
            sessions
                .iter()
                .try_for_each(|session| check_signal(self.catalog.access(), Some(&acting), session, true))?;
            for session in sessions {
                roster.signal(self.cx.client, session, true).await?;
            }
            clock::sleep(LOOKS).await;
        }
    }
}

fn set(database: &mut Database, options: &[DatabaseOption]) {
    for option in options {
        match option {
            DatabaseOption::IsTemplate(is_template) => database.is_template = *is_template,
            DatabaseOption::AllowConnections(allows) => database.allows_connections = *allows,
            DatabaseOption::ConnectionLimit(limit) => database.connection_limit = *limit,
            DatabaseOption::Owner(_) | DatabaseOption::Template(_) | DatabaseOption::Clone { .. } => {}
        }
    }
}

fn no_such_database(name: &str) -> Error {
    Error::new("3D000", format!("database \"{name}\" does not exist"))
}
