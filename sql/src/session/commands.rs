//! What the session does by itself: transactions, settings, prepared statements.

use std::collections::VecDeque;
use std::sync::Arc;

use env::task::boxed;
use expr::casts::CastContext;
use expr::{Datum, EvalContext, Expr, Row, resolve};
use futures::FutureExt as _;

use super::Session;
use super::cluster;
use super::portal::{CommandTag, Fetched, Portal};
use super::prepared::{Prepared, Statement, changed_columns, same_columns};
use super::run::{guard, hold};
use super::transaction::Block;
use crate::error::{Error, Notice, Result};
use crate::plan::{Discard, Plan, SessionCommand, SettingValue, TransactionModes};
use crate::settings::{NO_ROLE, Request, Scope, is_for_superusers, join_values};

impl Session {
    /// Runs a statement that needs no transaction of its own.
    #[boxed]
    pub(super) async fn start_command(&mut self, portal: &mut Portal, rows_max: usize) -> Result<Fetched> {
        let planned = portal.prepared.planned.lock().clone();
        let Plan::Session(command) = &planned.bound.plan else { return Ok(Fetched::EmptyQuery) };
        self.audit_seen(&planned);
        for notice in planned.bound.notices.clone() {
            self.notify(notice);
        }
        if let SessionCommand::Execute { name, arguments } = command.as_ref() {
            let Some(inner) = self.registry.statement(name)?.clone() else { return Ok(Fetched::EmptyQuery) };
            // Whatever comes of it is recorded as of the statement that it runs.
            let runs = inner.planned.lock().clone();
            self.audit_seen(&runs);
            if portal.prepared.is_described && !same_columns(portal.prepared.columns(), inner.columns()) {
                return Err(changed_columns());
            }
            let (cancel, deadline) = (self.cancel.clone(), portal.deadline);
            if planned.traits.makes_long_values {
                env::pool::go_to_pool().await;
            }
            let arguments = async { self.arguments(name, &inner, arguments) };
            let values = guard(&cancel, deadline, arguments).await?;
            let sending = portal.sending.take();
            *portal = self.portal_over(&inner, values)?;
            (portal.deadline, portal.sending) = (deadline, sending);
            return self.advance(portal, rows_max).await;
        }
        self.audit_reserve().await?;
        if let SessionCommand::Declare(declare) = command.as_ref() {
            self.declare(portal, declare).await?;
            return Ok(Fetched::Done(CommandTag::Plain("DECLARE CURSOR")));
        }
        if let SessionCommand::Fetch(fetch) = command.as_ref() {
            return self.fetch_or_move(portal, fetch, rows_max).await;
        }
        if let SessionCommand::Maintain(maintain) = command.as_ref() {
            let tag = self.maintain(maintain, &planned.catalog, portal.deadline).await?;
            return Ok(Fetched::Done(CommandTag::Plain(tag)));
        }
        if let SessionCommand::Steps { statements, tag } = command.as_ref() {
            let aside = self.auditing.set_aside();
            // Boxed: few statements do.
            let ran = self.run_steps(statements, portal.deadline).boxed().await;
            self.auditing.take_up(aside);
            ran?;
            return Ok(Fetched::Done(CommandTag::Plain(tag)));
        }
        if let SessionCommand::LockTable { tables, mode } = command.as_ref() {
            self.lock_tables(tables, *mode, &planned.catalog)?;
            return Ok(Fetched::Done(CommandTag::Plain("LOCK TABLE")));
        }
        if let SessionCommand::Backup(order) = command.as_ref() {
            self.check_command(&planned).await?;
            let rows = self.backup(order, portal.deadline).await?;
            let memory = self.statement_memory();
            return Ok(hold(portal, rows, CommandTag::Plain(order.command()), memory, rows_max));
        }
        if let SessionCommand::SplitAt { .. }
        | SessionCommand::KeepHistory(_)
        | SessionCommand::EraseHistory(_)
        | SessionCommand::ShowRanges(_)
        | SessionCommand::ShowNodes = command.as_ref()
        {
            self.check_command(&planned).await?;
        }
        if let SessionCommand::Set { name, .. } | SessionCommand::Reset(Some(name)) = command.as_ref()
            && is_for_superusers(name)
        {
            self.heed_role().await?;
        }
        let (rows, tag) = self.run_command(command).await?;
        if let SessionCommand::Prepare { name, .. } = command.as_ref() {
            self.registry.was_written(name, portal.prepared.statement.0.text.clone());
        }
        let memory = self.statement_memory();
        Ok(hold(portal, rows, CommandTag::Plain(tag), memory, rows_max))
    }

    async fn run_command(&mut self, command: &SessionCommand) -> Result<(VecDeque<Row>, &'static str)> {
        let tag = match command {
            SessionCommand::Begin(modes, moment, tag) => {
                self.end_script().await?;
                match moment {
                    None => self.begin_block(modes)?,
                    Some(moment) => self.begin_as_of(modes, moment).await?,
                }
                *tag
            }
            SessionCommand::Commit { chain } => match self.commit_block(*chain).await? {
                true => "COMMIT",
                false => "ROLLBACK",
            },
            SessionCommand::Rollback { chain } => {
                self.rollback_block(*chain).await?;
                "ROLLBACK"
            }
            SessionCommand::Savepoint(name) => {
                self.savepoint(name)?;
                "SAVEPOINT"
            }
            SessionCommand::Release(name) => {
                self.release(name)?;
                "RELEASE"
            }
            SessionCommand::RollbackTo(name) => {
                self.rollback_to(name).await?;
                "ROLLBACK"
            }
            SessionCommand::SetConstraints { keys, deferred } => {
                if !self.outside_block("SET CONSTRAINTS") {
                    self.transaction.deferred.set(keys.as_deref(), *deferred);
                    self.settle_deferred(false).await?;
                }
                "SET CONSTRAINTS"
            }
            SessionCommand::SetTransaction(modes) => {
                if self.outside_block("SET TRANSACTION") {
                    return Ok((VecDeque::new(), "SET"));
                }
                self.set_modes(modes)?;
                "SET"
            }
            SessionCommand::SetSessionCharacteristics(modes) => {
                self.set_characteristics(modes)?;
                "SET"
            }
            SessionCommand::Set { name, value, local }
                if matches!(name.as_str(), "role" | "session_authorization") =>
            {
                let value = match value {
                    SettingValue::Default => None,
                    SettingValue::Values(values) => Some(join_values(name, values)?),
                };
                match name.as_str() {
                    "role" => self.set_role(value.as_deref().filter(|role| *role != NO_ROLE), *local).await?,
                    _ => self.set_session_authorization(value.as_deref(), *local).await?,
                }
                "SET"
            }
            SessionCommand::Set { name, value, local } => {
                self.set(name, value, *local)?;
                "SET"
            }
            SessionCommand::SetRole { role, local } => {
                self.set_role(role.as_deref(), *local).await?;
                "SET"
            }
            SessionCommand::SetSessionAuthorization { role, local } => {
                self.set_session_authorization(role.as_deref(), *local).await?;
                "SET"
            }
            SessionCommand::Reset(Some(name)) if name == "role" => {
                self.set_role(None, false).await?;
                "RESET"
            }
            SessionCommand::Reset(Some(name)) if name == "session_authorization" => {
                self.set_session_authorization(None, false).await?;
                "RESET"
            }
            SessionCommand::Reset(Some(name)) => {
                self.settings.set(name, None, Scope::Session, &mut self.context)?;
                self.keep_settings();
                "RESET"
            }
            SessionCommand::Reset(None) => {
                self.settings.reset_all(&mut self.context)?;
                self.keep_settings();
                "RESET"
            }
            SessionCommand::Show(name) => {
                let value = self.show(name)?;
                return Ok((VecDeque::from([vec![text(&value)]]), "SHOW"));
            }
            SessionCommand::ShowAll => return Ok((self.show_all()?, "SHOW")),
            SessionCommand::ShowNodes => return Ok((cluster::nodes(self.engine.client()).await?, "SHOW")),
            SessionCommand::ShowRanges(table) => {
                return Ok((cluster::ranges(self.engine.client(), table.as_deref()).await?, "SHOW"));
            }
            SessionCommand::ShowHistory => return Ok((self.show_history().await?, "SHOW")),
            SessionCommand::ShowClones => return Ok((self.show_clones().await?, "SHOW")),
            SessionCommand::KeepHistory(keep) => {
                self.keep_history(keep).await?;
                keep.command()
            }
            SessionCommand::EraseHistory(erase) => {
                self.erase_history(erase).await?;
                "ERASE HISTORY"
            }
            SessionCommand::SplitAt { table, rows } => {
                let context = EvalContext::new(&[], &[], &self.context);
                let keys = cluster::split_keys(table, rows, &context)?;
                cluster::split(self.engine.client(), keys).await?;
                "ALTER TABLE"
            }
            SessionCommand::Prepare { name, types, statement } => {
                self.registry.check_statement_name(name)?;
                let declared = Some(types.iter().map(|ty| Some(ty.kind)).collect());
                let inner = Statement(Arc::new(statement.as_ref().clone()));
                let prepared = self.plan_first(inner, declared, true).await?;
                self.registry.add_statement(name, Some(prepared))?;
                "PREPARE"
            }
            SessionCommand::Execute { .. }
            | SessionCommand::Declare(_)
            | SessionCommand::Fetch(_)
            | SessionCommand::Maintain(_)
            | SessionCommand::Backup(_)
            | SessionCommand::Steps { .. }
            | SessionCommand::LockTable { .. } => {
                return Err(Error::internal("what runs a query is no command of the session"));
            }
            SessionCommand::Deallocate(Some(name)) => {
                self.registry.statement(name)?;
                self.registry.remove_statement(name);
                "DEALLOCATE"
            }
            SessionCommand::Deallocate(None) => {
                self.registry.clear_statements();
                "DEALLOCATE ALL"
            }
            SessionCommand::Close(Some(name)) => {
                if self.registry.portal(name).is_err() {
                    return Err(Error::new("34000", format!("cursor \"{name}\" does not exist")));
                }
                self.registry.remove_portal(name);
                "CLOSE CURSOR"
            }
            SessionCommand::Close(None) => {
                self.registry.clear_portals();
                "CLOSE CURSOR ALL"
            }
            SessionCommand::Notifying(notifying) => self.note(notifying).await?,
            SessionCommand::Discard(what) => self.discard(*what).await?,
            SessionCommand::NoEffect { tag } => tag,
        };
        Ok((VecDeque::new(), tag))
    }

    /// Warns that a command has no effect outside of a transaction block, if that is where the session is.
    pub(super) fn outside_block(&mut self, command: &str) -> bool {
        let outside = !self.transaction.in_block();
        if outside {
            let message = format!("{command} can only be used in transaction blocks");
            self.notify(Notice::warning("25P01", message));
        }
        outside
    }

    fn set(&mut self, name: &str, value: &SettingValue, local: bool) -> Result<()> {
        if local {
            self.outside_block("SET LOCAL");
        }
        let value = match value {
            SettingValue::Default => None,
            SettingValue::Values(values) => Some(join_values(name, values)?),
        };
        match name {
            "transaction_isolation" | "transaction_read_only" | "transaction_deferrable" => {
                return self.set_mode(name, value.as_deref());
            }
            _ => {}
        }
        let scope = if local { Scope::Local } else { Scope::Session };
        self.settings.set(name, value.as_deref(), scope, &mut self.context)?;
        self.keep_settings();
        Ok(())
    }

    /// What `set_config` asked for while a statement ran.
    pub(super) fn apply_request(&mut self, request: &Request) -> Result<()> {
        self.settings.set(&request.name, request.value.as_deref(), request.scope, &mut self.context)?;
        self.keep_settings();
        self.audit_setting(&request.name);
        Ok(())
    }

    /// Outside of a block what was set is set.
    pub(super) fn keep_settings(&mut self) {
        if self.transaction.block == Block::Idle {
            self.settings.commit(&mut self.context);
        }
    }

    fn set_mode(&mut self, name: &str, value: Option<&str>) -> Result<()> {
        let mut modes = TransactionModes::default();
        if name == "transaction_isolation" {
            use crate::plan::Isolation as Level;
            let word = value.unwrap_or("serializable").to_ascii_lowercase();
            modes.isolation = Some(match word.as_str() {
                "serializable" => Level::Serializable,
                "repeatable read" => Level::RepeatableRead,
                "read committed" => Level::ReadCommitted,
                "read uncommitted" => Level::ReadUncommitted,
                _ => {
                    return Err(Error::new(
                        "22023",
                        format!("invalid value for parameter \"{name}\": \"{word}\""),
                    )
                    .hint(
                        "Available values: serializable, repeatable read, read committed, read uncommitted.",
                    ));
                }
            });
        } else {
            use crate::plan::AccessMode;
            let is_on = crate::settings::value::parse_bool(value.unwrap_or("off")).ok_or_else(|| {
                Error::new("22023", format!("parameter \"{name}\" requires a Boolean value"))
            })?;
            match name {
                "transaction_deferrable" => modes.deferrable = Some(is_on),
                _ => modes.access = Some(if is_on { AccessMode::ReadOnly } else { AccessMode::ReadWrite }),
            }
        }
        if self.transaction.block == Block::Idle {
            return Ok(());
        }
        self.set_modes(&modes)
    }

    fn set_characteristics(&mut self, modes: &TransactionModes) -> Result<()> {
        use crate::plan::{AccessMode, Isolation as Level};
        if let Some(isolation) = modes.isolation {
            let word = match isolation {
                Level::Serializable => "serializable",
                Level::RepeatableRead => "repeatable read",
                Level::ReadCommitted => "read committed",
                Level::ReadUncommitted => "read uncommitted",
            };
            self.settings.set(
                "default_transaction_isolation",
                Some(word),
                Scope::Session,
                &mut self.context,
            )?;
        }
        if let Some(access) = modes.access {
            let word = if access == AccessMode::ReadOnly { "on" } else { "off" };
            self.settings.set(
                "default_transaction_read_only",
                Some(word),
                Scope::Session,
                &mut self.context,
            )?;
        }
        if let Some(deferrable) = modes.deferrable {
            let word = if deferrable { "on" } else { "off" };
            self.settings.set(
                "default_transaction_deferrable",
                Some(word),
                Scope::Session,
                &mut self.context,
            )?;
        }
        self.keep_settings();
        Ok(())
    }

    fn show(&self, name: &str) -> Result<Arc<str>> {
        Ok(match name {
            "transaction_isolation" => self.modes().level().into(),
            "transaction_read_only" => if self.modes().read_only { "on" } else { "off" }.into(),
            "transaction_deferrable" => if self.modes().deferrable { "on" } else { "off" }.into(),
            _ => self.settings.show(name)?,
        })
    }

    fn show_all(&self) -> Result<VecDeque<Row>> {
        self.settings
            .all()
            .map(|setting| {
                let value = self.show(&setting.name.to_ascii_lowercase())?;
                let description = setting.definition.map_or("", |definition| definition.description);
                Ok(vec![text(setting.name), text(&value), text(description)])
            })
            .collect()
    }

    async fn discard(&mut self, what: Discard) -> Result<&'static str> {
        Ok(match what {
            Discard::All => {
                if self.transaction.block != Block::Idle {
                    return Err(Error::new("25001", "DISCARD ALL cannot run inside a transaction block"));
                }
                self.registry.clear_statements();
                self.registry.clear_portals();
                self.settings.reset_all(&mut self.context)?;
                self.keep_settings();
                self.set_session_authorization(None, false).await?;
                self.listening.unlisten_all();
                self.advisory.give_all_back().await;
                self.sequences.discard();
                self.discard_own().await?;
                "DISCARD ALL"
            }
            Discard::Plans => "DISCARD PLANS",
            Discard::Sequences => {
                self.sequences.discard();
                "DISCARD SEQUENCES"
            }
            Discard::Temp => {
                self.discard_own().await?;
                "DISCARD TEMP"
            }
        })
    }

    /// The arguments of EXECUTE as values of the parameters' types.
    pub(super) fn arguments(
        &self,
        name: &str,
        prepared: &Prepared,
        arguments: &[(Expr, usize)],
    ) -> Result<Vec<Datum>> {
        if arguments.len() != prepared.parameters.len() {
            return Err(Error::new(
                "42601",
                format!("wrong number of parameters for prepared statement \"{name}\""),
            )
            .detail(format!(
                "Expected {} parameters but got {}.",
                prepared.parameters.len(),
                arguments.len()
            )));
        }
        // All types first: what cannot become a parameter is not evaluated.
        for (number, ((argument, at), ty)) in (1_usize..).zip(arguments.iter().zip(&prepared.parameters)) {
            let (given, wanted) = (argument.ty().kind, ty.kind);
            if !argument.is_unknown() && !resolve::can_coerce(given, wanted, CastContext::Assignment) {
                let (given, wanted) = (given.display_name(), wanted.display_name());
                return Err(Error::new(
                    "42804",
                    format!(
                        "parameter ${number} of type {given} cannot be coerced to the expected type {wanted}"
                    ),
                )
                .hint("You will need to rewrite or cast the expression.")
                .at(*at));
            }
        }
        let context = EvalContext::new(&[], &[], &self.context);
        arguments
            .iter()
            .zip(&prepared.parameters)
            .map(|((argument, at), ty)| {
                let value = argument.evaluate(&context)?;
                let cast = expr::casts::apply(value, argument.ty(), *ty, false, &self.context);
                // A literal is read as what it is to be, there where it stands.
                Ok(match argument.is_unknown() {
                    true => cast.map_err(|error| Error::from(error).at(*at))?,
                    false => cast?,
                })
            })
            .collect()
    }
}

fn text(text: &str) -> Datum {
    Datum::Text(text.into())
}
